"""The client of the generator's gRPC API."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from google.protobuf.message_factory import GetMessageClass

from rag.generator.v1 import generator_service_pb2 as pb
from rag.generator.v1.generator_service_pb2_grpc import GeneratorServiceStub
from rag.types.v1.grounding_pb2 import Citation, Grounding
from rag.types.v1.passage_pb2 import Passage, ScoredPassage
from rag_common.grpc.peer import Peer
from rag_contract.durations import to_seconds
from rag_gateway.answering.model import Generation, Support
from rag_gateway.answering.service import GeneratedAnswer, TextDelta

_MODES = {
    "refuse": pb.GROUNDING_MODE_REFUSE,
    "flag": pb.GROUNDING_MODE_FLAG,
    "off": pb.GROUNDING_MODE_OFF,
}
_CUT_SHORT = {
    pb.FINISH_REASON_LENGTH: "LENGTH",
    pb.FINISH_REASON_DEADLINE: "BUDGET_EXHAUSTED",
    pb.FINISH_REASON_CONTENT_FILTER: "CONTENT_FILTER",
}


class Generator:
    """Generates answers and checks their grounding.

    The generator sends its response headers before it starts to work, which distinguishes a generator
    that hangs from a slow one: without headers within `start` seconds a call fails with Unavailable.
    """

    def __init__(self, peer: Peer, start: float) -> None:
        self._peer = peer
        self._start = start
        self._stub = GeneratorServiceStub(peer.channel)
        self._generate = self._as_stream("Generate")
        self._check = self._as_stream("CheckGrounding")
        self._list = self._as_stream("ListModels")

    async def answer(
        self,
        question: str,
        passages: Sequence[ScoredPassage],
        generation: Generation,
        support: Support,
    ) -> GeneratedAnswer:
        """The complete answer."""
        request = pb.GenerateRequest(
            question=question,
            passages=passages,
            options=_options(generation),
            grounding=_policy(support),
        )
        return _answer(await self._peer.prompt(self._generate, request, start=self._start))

    def stream(
        self,
        question: str,
        passages: Sequence[ScoredPassage],
        generation: Generation,
        support: Support,
    ) -> AsyncGenerator[TextDelta | Citation | GeneratedAnswer, None]:
        """The answer as it is generated, the complete answer last. Closing the iterator cancels the call."""
        request = pb.StreamGenerateRequest(
            question=question,
            passages=passages,
            options=_options(generation),
            grounding=_policy(support),
        )
        method = self._stub.StreamGenerate
        return self._peer.stream(method, request, start=self._start, convert=_event)

    async def check(self, text: str, passages: Sequence[Passage]) -> Grounding:
        """How far the passages support the text."""
        request = pb.CheckGroundingRequest(text=text, passages=passages)
        reply = await self._peer.prompt(self._check, request, start=self._start)
        grounding: Grounding = reply.grounding
        return grounding

    async def models(self) -> list[str]:
        """The names of the available models, the default first."""
        request = pb.ListModelsRequest()
        reply = await self._peer.prompt(self._list, request, start=self._start)
        return [model.name for model in reply.models]

    def _as_stream(self, name: str) -> Any:
        """The unary method as a stream of one response, which is the same on the wire."""
        method = pb.DESCRIPTOR.services_by_name["GeneratorService"].methods_by_name[name]
        request, reply = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        path = f"/{method.containing_service.full_name}/{name}"
        return self._peer.channel.unary_stream(
            path,
            request_serializer=request.SerializeToString,
            response_deserializer=reply.FromString,
        )


def _event(
    reply: pb.StreamGenerateResponse,
) -> TextDelta | Citation | GeneratedAnswer | None:
    match reply.WhichOneof("event"):
        case "delta":
            return TextDelta(reply.delta.text)
        case "citation":
            citation: Citation = reply.citation
            return citation
        case "completed":
            return _answer(reply.completed)
    return None


def _options(generation: Generation) -> pb.GenerationOptions:
    return pb.GenerationOptions(
        model=generation.model,
        max_output_tokens=generation.max_output_tokens,
        temperature=generation.temperature,
        seed=generation.seed,
        language=generation.language,
    )


def _policy(support: Support) -> pb.GroundingPolicy:
    return pb.GroundingPolicy(mode=_MODES[support.mode], min_score=support.min_score)


def _answer(reply: pb.GenerateResponse) -> GeneratedAnswer:
    return GeneratedAnswer(
        text=reply.text,
        citations=reply.citations,
        grounding=reply.grounding,
        skipped_reason=reply.skipped_reason,
        confidence=reply.confidence if reply.HasField("confidence") else None,
        usage=reply.usage,
        model=reply.model,
        prompt_version=reply.prompt_version,
        cut_short=_CUT_SHORT.get(reply.finish_reason, ""),
        seconds_to_first=to_seconds(reply.time_to_first_token),
        degraded=reply.degraded,
    )
