"""The public AnswerService: translates between protobuf messages and the domain services."""

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

from rag.gateway.v1 import answer_service_pb2 as pb
from rag.gateway.v1.answer_service_pb2_grpc import AnswerServiceServicer
from rag.types.v1.grounding_pb2 import Citation
from rag_common.aio import with_heartbeats
from rag_common.context import Call
from rag_common.grpc.types import Context
from rag_contract import errors
from rag_contract.durations import set_seconds
from rag_gateway.answering.model import Question, Retrieval
from rag_gateway.answering.service import (
    AnsweringService,
    AnswerResult,
    Event,
    SearchResult,
    TextDelta,
)
from rag_gateway.api import responses
from rag_gateway.api.capabilities import Capabilities
from rag_gateway.api.guard import Permit, RequestGuard
from rag_gateway.api.validation import parse
from rag_gateway.api.validation.validator import RequestValidator
from rag_gateway.quotas.service import Cost
from rag_gateway.telemetry.recorder import AnswerRecorder

# Estimates for an answer's tokens: the usual maximum of a passage, and the default limit of an answer.
_PASSAGE_TOKENS = 500
_ANSWER_TOKENS = 1024


class AnswerServicer(AnswerServiceServicer):
    """Handles requests that the interceptor has authenticated."""

    def __init__(
        self,
        answering: AnsweringService,
        capabilities: Capabilities,
        guard: RequestGuard,
        recorder: AnswerRecorder,
        *,
        region: str,
        heartbeat: float,
    ) -> None:
        self._answering = answering
        self._capabilities = capabilities
        self._guard = guard
        self._recorder = recorder
        self._region = region
        self._heartbeat = heartbeat

    async def Answer(self, request: pb.AnswerRequest, context: Context) -> pb.AnswerResponse:
        question = _question(request)
        permit = await self._admit("Answer", question, retryable=bool(request.request_id))
        question = _authorized(question, permit)

        async def work() -> pb.AnswerResponse:
            with self._recorder.counting_failures():
                result = await self._answering.answer(permit.tenant, question)
            self._record(question, result, permit)
            return responses.answer(result, permit.call, self._region)

        return await self._guard.idempotent("Answer", permit, request, work, pb.AnswerResponse)

    async def StreamAnswer(
        self, request: pb.StreamAnswerRequest, context: Context
    ) -> AsyncIterator[pb.StreamAnswerResponse]:
        question = _question(request)
        permit = await self._admit("StreamAnswer", question, stream=True)
        question = _authorized(question, permit)
        stream = _Stream(permit.call, self._region, self._recorder)
        async with (
            aclosing(self._answering.stream(permit.tenant, question)) as events,
            aclosing(with_heartbeats(events, self._heartbeat)) as timed,
        ):
            yield stream.started()
            try:
                with self._recorder.counting_failures():
                    async for event in timed:
                        if isinstance(event, AnswerResult):
                            self._record(question, event, permit)
                        for message in stream.messages(event):
                            yield message
            except errors.AppError as error:
                if not stream.deltas:
                    raise
                self._recorder.record_incomplete(error.reason)
                yield stream.incomplete(error.reason, error.message)
        self._recorder.record_end()

    async def Search(self, request: pb.SearchRequest, context: Context) -> pb.SearchResponse:
        validator = RequestValidator(request)
        query = parse.query(request.query)
        options = parse.retrieval(validator, request.retrieval, request.explain)
        validator.validate()
        permit = await self._guard.admit("Search", collections=options.collections)
        options = replace(options, collections=permit.collections or ())
        result = await self._answering.search(permit.tenant, query, options)
        result.provenance.degraded.extend(self._guard.degraded_parts())
        self._recorder.record_search(query, result, options)
        return responses.search(result, permit.call, self._region, request.explain)

    async def CheckGrounding(
        self, request: pb.CheckGroundingRequest, context: Context
    ) -> pb.CheckGroundingResponse:
        validator = RequestValidator(request)
        passages = parse.passages(validator, request.passages)
        validator.validate()
        permit = await self._guard.admit("CheckGrounding")
        grounding = await self._answering.check(request.text, passages)
        return pb.CheckGroundingResponse(grounding=grounding, trace_id=permit.call.trace_id)

    async def GetCapabilities(
        self, request: pb.GetCapabilitiesRequest, context: Context
    ) -> pb.GetCapabilitiesResponse:
        await self._guard.admit("GetCapabilities")
        return await self._capabilities.describe()

    async def _admit(
        self,
        method: str,
        question: Question,
        *,
        stream: bool = False,
        retryable: bool = False,
    ) -> Permit:
        sources = question.sources
        return await self._guard.admit(
            method,
            collections=sources.collections if isinstance(sources, Retrieval) else None,
            cost=Cost(tokens=_max_tokens(question), stream=stream),
            retryable=retryable,
        )

    def _record(self, question: Question, result: AnswerResult, permit: Permit) -> None:
        permit.usage.record(_used_tokens(result))
        result.search.provenance.degraded.extend(self._guard.degraded_parts())
        self._recorder.record_answer(question, result, permit.principal)


class _Stream:
    """Translates the events of one answer to messages, and counts the deltas sent."""

    def __init__(self, call: Call, region: str, recorder: AnswerRecorder) -> None:
        self._call = call
        self._region = region
        self._recorder = recorder
        self.deltas = 0

    def started(self) -> pb.StreamAnswerResponse:
        ids = pb.Started(request_id=self._call.request_id, trace_id=self._call.trace_id)
        return pb.StreamAnswerResponse(started=ids)

    def messages(self, event: Event | None) -> list[pb.StreamAnswerResponse]:
        match event:
            case None:
                return [pb.StreamAnswerResponse(heartbeat=self._heartbeat())]
            case SearchResult():
                self._recorder.record_first_event(self._call)
                retrieved = pb.Retrieved(references=event.passages)
                return [pb.StreamAnswerResponse(retrieved=retrieved)]
            case TextDelta():
                if not self.deltas:
                    self._recorder.record_first_token(self._call)
                self.deltas += 1
                delta = pb.Delta(sequence=self.deltas - 1, text=event.text)
                return [pb.StreamAnswerResponse(delta=delta)]
            case Citation():
                return [pb.StreamAnswerResponse(citation=event)]
            case AnswerResult():
                return self._end(event)

    def incomplete(self, reason: str, message: str) -> pb.StreamAnswerResponse:
        return pb.StreamAnswerResponse(incomplete=pb.Incomplete(reason=reason, message=message))

    def _end(self, event: AnswerResult) -> list[pb.StreamAnswerResponse]:
        grounding = pb.StreamAnswerResponse(grounding=event.answer.grounding)
        if event.answer.cut_short:
            reason = event.answer.cut_short
            return [grounding, self.incomplete(reason, "the answer was cut short")]
        completed = responses.answer(event, self._call, self._region)
        return [grounding, pb.StreamAnswerResponse(completed=completed)]

    def _heartbeat(self) -> pb.Heartbeat:
        heartbeat = pb.Heartbeat()
        set_seconds(heartbeat.elapsed, time.monotonic() - self._call.started)
        return heartbeat


def _authorized(question: Question, permit: Permit) -> Question:
    """The question, restricted to the collections that the caller may access."""
    if not isinstance(question.sources, Retrieval):
        return question
    sources = replace(question.sources, collections=permit.collections or ())
    return replace(question, sources=sources)


def _max_tokens(question: Question) -> int:
    """An upper estimate of the tokens of prompt and answer; a character counts as one token."""
    sources = question.sources
    if isinstance(sources, Retrieval):
        passages = sources.top_k * _PASSAGE_TOKENS
    else:
        passages = sum(len(passage.text) for passage in sources)
    answer = question.generation.max_output_tokens or _ANSWER_TOKENS
    return len(question.text) + passages + answer


def _used_tokens(result: AnswerResult) -> int:
    usage = result.answer.usage
    return int(usage.input_tokens + usage.output_tokens)


def _question(request: pb.AnswerRequest | pb.StreamAnswerRequest) -> Question:
    validator = RequestValidator(request)
    text = parse.query(request.query)
    options = parse.retrieval(validator, request.retrieval, request.explain)
    passages = parse.passages(validator, request.passages)
    generation = parse.generation(request.generation)
    support = parse.support(request.grounding)
    validator.validate()
    return Question(text, passages or options, generation, support)
