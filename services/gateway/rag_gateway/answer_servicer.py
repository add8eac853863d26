"""The public answer API: protobuf to the core and back."""

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

from rag.gateway.v1 import answer_service_pb2 as pb
from rag.gateway.v1.answer_service_pb2_grpc import AnswerServiceServicer
from rag.types.v1.grounding_pb2 import Citation
from rag_common import errors
from rag_common.context import CALL, Call, request_id
from rag_common.rpc.types import Context
from rag_gateway import replies, requests
from rag_gateway.capabilities import Capabilities
from rag_gateway.core import Answered, Answering, Event, Found, Words
from rag_gateway.question import Question
from rag_gateway.requests import Checks
from rag_gateway.silence import with_silence


class AnswerServicer(AnswerServiceServicer):
    """Translates; the core does the work, the interceptor has let the caller in."""

    def __init__(
        self, answering: Answering, capabilities: Capabilities, *, region: str, heartbeat: float
    ) -> None:
        self._answering = answering
        self._capabilities = capabilities
        self._region = region
        self._heartbeat = heartbeat

    async def Answer(self, request: pb.AnswerRequest, context: Context) -> pb.AnswerResponse:
        call, tenant = caller(request.request_id)
        answered = await self._answering.answer(tenant, _question(request))
        return replies.answer(answered, call, self._region)

    async def StreamAnswer(
        self, request: pb.StreamAnswerRequest, context: Context
    ) -> AsyncIterator[pb.StreamAnswerResponse]:
        call, tenant = caller(request.request_id)
        question = _question(request)
        yield pb.StreamAnswerResponse(
            started=pb.Started(request_id=call.request_id, trace_id=call.trace.trace_id)
        )
        stream = _Stream(call, self._region)
        async with (
            aclosing(self._answering.stream(tenant, question)) as events,
            aclosing(with_silence(events, self._heartbeat)) as timed,
        ):
            try:
                async for event in timed:
                    for message in stream.messages(event):
                        yield message
            except errors.AppError as error:
                if not stream.words:
                    raise
                yield stream.incomplete(error.reason, error.message)

    async def Search(self, request: pb.SearchRequest, context: Context) -> pb.SearchResponse:
        call, tenant = caller(request.request_id)
        checks = Checks()
        query = requests.query(checks, request.query)
        options = requests.retrieval(checks, request.retrieval, request.explain)
        checks.done()
        found = await self._answering.search(tenant, query, options)
        return replies.search(found, call, self._region, request.explain)

    async def CheckGrounding(
        self, request: pb.CheckGroundingRequest, context: Context
    ) -> pb.CheckGroundingResponse:
        call, _ = caller("")
        checks = Checks()
        checks.text(request.text, "text", requests.CHECKED_CHARACTERS)
        checks.require(bool(request.passages), "passages", "is empty")
        passages = requests.passages(checks, request.passages)
        checks.done()
        grounding = await self._answering.check(request.text, passages)
        return pb.CheckGroundingResponse(grounding=grounding, trace_id=call.trace.trace_id)

    async def GetCapabilities(
        self, request: pb.GetCapabilitiesRequest, context: Context
    ) -> pb.GetCapabilitiesResponse:
        return await self._capabilities.describe()


class _Stream:
    """The events of one answer as messages; counts the words sent."""

    def __init__(self, call: Call, region: str) -> None:
        self._call = call
        self._region = region
        self.words = 0

    def messages(self, event: Event | None) -> list[pb.StreamAnswerResponse]:
        match event:
            case None:
                return [pb.StreamAnswerResponse(heartbeat=self._heartbeat())]
            case Found():
                found = pb.Retrieved(references=event.passages)
                return [pb.StreamAnswerResponse(retrieved=found)]
            case Words():
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


def caller(given_id: str) -> tuple[Call, str]:
    """The call with the id that the request names, and the tenant of the verified token."""
    call = CALL.get()
    principal = call.principal if call else None
    if call is None or principal is None:
        raise errors.Unauthenticated("nobody is authenticated")
    if given_id:
        call = replace(call, request_id=request_id(given_id))
        CALL.set(call)
    return call, principal.tenant


def _question(request: pb.AnswerRequest | pb.StreamAnswerRequest) -> Question:
    checks = Checks()
    text = requests.query(checks, request.query)
    options = requests.retrieval(checks, request.retrieval, request.explain)
    given = requests.passages(checks, request.passages)
    how = requests.generation(checks, request.generation)
    support = requests.support(checks, request.grounding)
    checks.done()
    return Question(text, given or options, how, support)
