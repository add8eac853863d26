"""The generator's gRPC service: converts protobuf messages for the answering service and back."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from time import monotonic

from rag.generator.v1 import generator_service_pb2 as pb
from rag.generator.v1.generator_service_pb2_grpc import GeneratorServiceServicer
from rag.types.v1 import grounding_pb2, passage_pb2
from rag_common.context import CALL
from rag_common.grpc.types import Context
from rag_contract import errors
from rag_contract.durations import set_seconds
from rag_generator.answering.service import (
    Answer,
    Citation,
    Generator,
    Mode,
    Skipped,
    Task,
    TextDelta,
)
from rag_generator.evidence.grounding import Claim
from rag_generator.evidence.sentences import Passage
from rag_generator.llm.model import Finish

_MAX_PASSAGES = 50

_MODES = {
    pb.GROUNDING_MODE_UNSPECIFIED: Mode.REFUSE,
    pb.GROUNDING_MODE_REFUSE: Mode.REFUSE,
    pb.GROUNDING_MODE_FLAG: Mode.FLAG,
    pb.GROUNDING_MODE_OFF: Mode.OFF,
}
_SKIPPED = {
    None: grounding_pb2.SKIPPED_REASON_UNSPECIFIED,
    Skipped.NO_PASSAGES: grounding_pb2.SKIPPED_REASON_NO_PASSAGES,
    Skipped.WEAK_EVIDENCE: grounding_pb2.SKIPPED_REASON_WEAK_EVIDENCE,
    Skipped.UNGROUNDED: grounding_pb2.SKIPPED_REASON_UNGROUNDED,
}
_FINISH = {
    Finish.STOP: pb.FINISH_REASON_STOP,
    Finish.LENGTH: pb.FINISH_REASON_LENGTH,
    Finish.DEADLINE: pb.FINISH_REASON_DEADLINE,
    Finish.CONTENT_FILTER: pb.FINISH_REASON_CONTENT_FILTER,
}


class GeneratorServicer(GeneratorServiceServicer):
    """Converts messages; the `Generator` does the work. Response headers are sent before it."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator

    async def Generate(self, request: pb.GenerateRequest, context: Context) -> pb.GenerateResponse:
        await _begin(context)
        documents = _documents(request.passages)
        clock = _Clock()
        async with aclosing(self._generator.answer(_task(request))) as events:
            async for event in events:
                clock.tick(event)
                if isinstance(event, Answer):
                    return _response(event, documents, clock)
        raise errors.Internal("the backend ended without an answer")

    async def StreamGenerate(
        self, request: pb.StreamGenerateRequest, context: Context
    ) -> AsyncIterator[pb.StreamGenerateResponse]:
        await _begin(context)
        documents = _documents(request.passages)
        clock = _Clock()
        async with aclosing(self._generator.answer(_task(request))) as events:
            async for event in events:
                clock.tick(event)
                match event:
                    case TextDelta():
                        delta = pb.Delta(sequence=clock.deltas - 1, text=event.text)
                        yield pb.StreamGenerateResponse(delta=delta)
                    case Citation():
                        citation = _citation(event, documents)
                        yield pb.StreamGenerateResponse(citation=citation)
                    case Answer():
                        completed = _response(event, documents, clock)
                        yield pb.StreamGenerateResponse(completed=completed)

    async def CheckGrounding(
        self, request: pb.CheckGroundingRequest, context: Context
    ) -> pb.CheckGroundingResponse:
        await _begin(context)
        if not 1 <= len(request.passages) <= _MAX_PASSAGES:
            raise errors.FieldInvalid.of("passages", f"must have 1 to {_MAX_PASSAGES} entries")
        passages = [_passage(item, passage_pb2.Evidence()) for item in request.passages]
        claims = await self._generator.check(request.text, passages)
        return pb.CheckGroundingResponse(grounding=_grounding(Answer("", claims=claims)))

    async def ListModels(
        self, request: pb.ListModelsRequest, context: Context
    ) -> pb.ListModelsResponse:
        await _begin(context)
        models = [
            pb.Model(
                name=info.name,
                backend=info.backend,
                context_tokens=info.context_tokens,
                is_default=position == 0,
            )
            for position, info in enumerate(self._generator.models())
        ]
        return pb.ListModelsResponse(models=models)


async def _begin(context: Context) -> None:
    """Send the response headers, which tell the caller that its call is being processed."""
    await context.send_initial_metadata(())


class _Clock:
    """Counts the deltas and measures the seconds until the first."""

    def __init__(self) -> None:
        self._started = monotonic()
        self.deltas = 0
        self.first = 0.0

    def tick(self, event: object) -> None:
        if isinstance(event, TextDelta):
            self.deltas += 1
            self.first = self.first or monotonic() - self._started


def _task(request: pb.GenerateRequest | pb.StreamGenerateRequest) -> Task:
    options, policy = request.options, request.grounding
    if len(request.passages) > _MAX_PASSAGES:
        raise errors.FieldInvalid.of("passages", f"has over {_MAX_PASSAGES} entries")
    if policy.mode not in _MODES:
        raise errors.FieldInvalid.of("grounding.mode", "is not a known value")
    _between("options.temperature", options.temperature, 0, 2)
    _between("grounding.min_score", policy.min_score, 0, 1)
    call = CALL.get()
    return Task(
        question=request.question,
        passages=[_passage(item.passage, item.evidence) for item in request.passages],
        model=options.model,
        max_output_tokens=options.max_output_tokens
        if options.HasField("max_output_tokens")
        else 512,
        temperature=options.temperature,
        seed=options.seed if options.HasField("seed") else None,
        language=options.language,
        mode=_MODES[policy.mode],
        min_score=policy.min_score if policy.HasField("min_score") else None,
        seconds=call.remaining if call else 60.0,
    )


def _between(field: str, value: float, min_value: float, max_value: float) -> None:
    if not min_value <= value <= max_value:
        raise errors.FieldInvalid.of(field, f"must be {min_value:g} to {max_value:g}")


def _passage(message: passage_pb2.Passage, evidence: passage_pb2.Evidence) -> Passage:
    if not message.passage_id:
        raise errors.FieldInvalid.of("passages.passage_id", "is empty")
    return Passage(
        id=message.passage_id,
        text=message.text,
        title=message.title,
        score=evidence.score if evidence.HasField("score") else None,
        headings=tuple(message.headings),
    )


def _documents(passages: Sequence[passage_pb2.ScoredPassage]) -> dict[str, str]:
    return {item.passage.passage_id: item.passage.document_id for item in passages}


def _response(answer: Answer, documents: dict[str, str], clock: _Clock) -> pb.GenerateResponse:
    response = pb.GenerateResponse(
        text=answer.text,
        citations=[_citation(item, documents) for item in answer.citations],
        grounding=_grounding(answer),
        skipped_reason=_SKIPPED[answer.skipped],
        confidence=answer.confidence,
        usage=grounding_pb2.Usage(
            input_tokens=answer.input_tokens, output_tokens=answer.output_tokens
        ),
        model=answer.model,
        prompt_version=answer.prompt_version,
        finish_reason=_FINISH[answer.finish],
        degraded=answer.degraded,
    )
    set_seconds(response.time_to_first_token, clock.first)
    return response


def _citation(item: Citation, documents: dict[str, str]) -> grounding_pb2.Citation:
    return grounding_pb2.Citation(
        number=item.number,
        passage_id=item.passage_id,
        document_id=documents[item.passage_id],
        answer_start=item.start,
        answer_end=item.end,
        quote=item.quote,
        quote_start=item.quote_start,
        quote_end=item.quote_end,
    )


def _grounding(answer: Answer) -> grounding_pb2.Grounding:
    return grounding_pb2.Grounding(
        score=answer.support, claims=[_claim(claim) for claim in answer.claims]
    )


def _claim(claim: Claim) -> grounding_pb2.Claim:
    return grounding_pb2.Claim(
        start=claim.start,
        end=claim.end,
        supported=claim.supported,
        score=claim.score,
        passage_ids=dict.fromkeys(support.passage_id for support in claim.supports),
    )
