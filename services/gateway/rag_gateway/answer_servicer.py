"""The public answer API: protobuf to the core and back."""

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

from rag.gateway.v1 import answer_service_pb2 as pb
from rag.gateway.v1.answer_service_pb2_grpc import AnswerServiceServicer
from rag.types.v1.grounding_pb2 import Citation
from rag_common import errors
from rag_common.context import CALL, Call, Principal, request_id
from rag_common.rpc.types import Context
from rag_gateway import replies, requests
from rag_gateway.capabilities import Capabilities
from rag_gateway.core import Answered, Answering, Event, Found, Words
from rag_gateway.counter import Counter
from rag_gateway.measures import Measures
from rag_gateway.question import Question, Retrieval
from rag_gateway.requests import Checks
from rag_gateway.silence import with_silence


class AnswerServicer(AnswerServiceServicer):
    """Translates; the core does the work, the interceptor has let the caller in."""

    def __init__(
        self,
        answering: Answering,
        capabilities: Capabilities,
        counter: Counter,
        measures: Measures,
        *,
        region: str,
        heartbeat: float,
    ) -> None:
        self._answering = answering
        self._capabilities = capabilities
        self._counter = counter
        self._measures = measures
        self._region = region
        self._heartbeat = heartbeat

    async def Answer(self, request: pb.AnswerRequest, context: Context) -> pb.AnswerResponse:
        call, by = caller(request.request_id)
        question = self._within("Answer", by, _question(request))

        async def work() -> pb.AnswerResponse:
            async with self._counter.tokens(by, question) as spent:
                with self._measures.answering():
                    answered = await self._answering.answer(by.tenant, question)
                spent.tokens(_used(answered))
                answered.found.journey.degraded.extend(self._counter.away())
                self._measures.answered(question, answered, by)
                return replies.answer(answered, call, self._region)

        return await self._counter.once("Answer", by, request, work, pb.AnswerResponse)

    async def StreamAnswer(
        self, request: pb.StreamAnswerRequest, context: Context
    ) -> AsyncIterator[pb.StreamAnswerResponse]:
        call, by = caller(request.request_id)
        question = self._within("StreamAnswer", by, _question(request))
        stream = _Stream(call, self._region, self._measures)
        async with (
            self._counter.tokens(by, question) as spent,
            aclosing(self._answering.stream(by.tenant, question)) as events,
            aclosing(with_silence(events, self._heartbeat)) as timed,
        ):
            yield stream.started()
            try:
                with self._measures.answering():
                    async for event in timed:
                        if isinstance(event, Answered):
                            spent.tokens(_used(event))
                            event.found.journey.degraded.extend(self._counter.away())
                            self._measures.answered(question, event, by)
                        for message in stream.messages(event):
                            yield message
            except errors.AppError as error:
                if not stream.words:
                    raise
                self._measures.broken(error.reason)
                yield stream.incomplete(error.reason, error.message)
        self._measures.ended()

    async def Search(self, request: pb.SearchRequest, context: Context) -> pb.SearchResponse:
        call, by = caller(request.request_id)
        checks = Checks(request)
        query = requests.query(checks, request.query)
        options = requests.retrieval(checks, request.retrieval, request.explain)
        checks.done()
        options = self._opened("Search", by, options)
        found = await self._answering.search(by.tenant, query, options)
        found.journey.degraded.extend(self._counter.away())
        self._measures.searched(query, found, options)
        return replies.search(found, call, self._region, request.explain)

    async def CheckGrounding(
        self, request: pb.CheckGroundingRequest, context: Context
    ) -> pb.CheckGroundingResponse:
        call, _ = caller("")
        checks = Checks(request)
        passages = requests.passages(checks, request.passages)
        checks.done()
        grounding = await self._answering.check(request.text, passages)
        return pb.CheckGroundingResponse(grounding=grounding, trace_id=call.trace.trace_id)

    async def GetCapabilities(
        self, request: pb.GetCapabilitiesRequest, context: Context
    ) -> pb.GetCapabilitiesResponse:
        return await self._capabilities.describe()

    def _within(self, method: str, by: Principal, question: Question) -> Question:
        """The question as the caller may ask it: about collections that are open to it."""
        if not isinstance(question.sources, Retrieval):
            return question
        return replace(question, sources=self._opened(method, by, question.sources))

    def _opened(self, method: str, by: Principal, options: Retrieval) -> Retrieval:
        opened = self._counter.opened(method, by, options.collections)
        return replace(options, collections=opened or ())


class _Stream:
    """The events of one answer as messages; counts the words sent."""

    def __init__(self, call: Call, region: str, measures: Measures) -> None:
        self._call = call
        self._region = region
        self._measures = measures
        self.words = 0

    def started(self) -> pb.StreamAnswerResponse:
        ids = pb.Started(request_id=self._call.request_id, trace_id=self._call.trace.trace_id)
        return pb.StreamAnswerResponse(started=ids)

    def messages(self, event: Event | None) -> list[pb.StreamAnswerResponse]:
        match event:
            case None:
                return [pb.StreamAnswerResponse(heartbeat=self._heartbeat())]
            case Found():
                self._measures.first_event(self._call)
                found = pb.Retrieved(references=event.passages)
                return [pb.StreamAnswerResponse(retrieved=found)]
            case Words():
                if not self.words:
                    self._measures.first_words(self._call)
                self.words += 1
                delta = pb.Delta(sequence=self.words - 1, text=event.text)
                return [pb.StreamAnswerResponse(delta=delta)]
            case Citation():
                return [pb.StreamAnswerResponse(citation=event)]
            case Answered():
                return self._end(event)

    def incomplete(self, reason: str, message: str) -> pb.StreamAnswerResponse:
        return pb.StreamAnswerResponse(incomplete=pb.Incomplete(reason=reason, message=message))

    def _end(self, event: Answered) -> list[pb.StreamAnswerResponse]:
        grounding = pb.StreamAnswerResponse(grounding=event.written.grounding)
        if event.written.cut_short:
            why = event.written.cut_short
            return [grounding, self.incomplete(why, "the answer was cut short")]
        whole = replies.answer(event, self._call, self._region)
        return [grounding, pb.StreamAnswerResponse(completed=whole)]

    def _heartbeat(self) -> pb.Heartbeat:
        beat = pb.Heartbeat()
        beat.elapsed.FromNanoseconds(int((time.monotonic() - self._call.started) * 1e9))
        return beat


def caller(given_id: str) -> tuple[Call, Principal]:
    """The call with the id that the request names, and who makes it."""
    call = CALL.get()
    by = call.principal if call else None
    if call is None or by is None:
        raise errors.Unauthenticated("nobody is authenticated")
    if given_id:
        call = replace(call, request_id=request_id(given_id))
        CALL.set(call)
    return call, by


def _used(answered: Answered) -> int:
    usage = answered.written.usage
    return int(usage.input_tokens + usage.output_tokens)


def _question(request: pb.AnswerRequest | pb.StreamAnswerRequest) -> Question:
    checks = Checks(request)
    text = requests.query(checks, request.query)
    options = requests.retrieval(checks, request.retrieval, request.explain)
    given = requests.passages(checks, request.passages)
    how = requests.generation(checks, request.generation)
    support = requests.support(checks, request.grounding)
    checks.done()
    return Question(text, given or options, how, support)
