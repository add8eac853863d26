"""The generator, by gRPC."""

from collections.abc import AsyncIterator, Sequence

from rag.generator.v1 import generator_service_pb2 as pb
from rag.generator.v1.generator_service_pb2_grpc import GeneratorServiceStub
from rag.types.v1.grounding_pb2 import Citation, Grounding
from rag.types.v1.passage_pb2 import Passage, ScoredPassage
from rag_common.rpc.client import Peer
from rag_gateway.core import Words, Written
from rag_gateway.question import Generation, Support

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
    """Writes answers and checks them."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._stub = GeneratorServiceStub(peer.channel)

    async def answer(
        self, question: str, passages: Sequence[ScoredPassage], how: Generation, support: Support
    ) -> Written:
        """The whole answer."""
        request = pb.GenerateRequest(
            question=question,
            passages=passages,
            options=_options(how),
            grounding=_policy(support),
        )
        return _written(await self._peer.unary(self._stub.Generate, request))

    async def stream(
        self, question: str, passages: Sequence[ScoredPassage], how: Generation, support: Support
    ) -> AsyncIterator[Words | Citation | Written]:
        """The answer as it is written; the whole of it last. Leaving the loop stops the writing."""
        request = pb.StreamGenerateRequest(
            question=question,
            passages=passages,
            options=_options(how),
            grounding=_policy(support),
        )
        async for reply in self._peer.stream(self._stub.StreamGenerate, request):
            match reply.WhichOneof("event"):
                case "delta":
                    yield Words(reply.delta.text)
                case "citation":
                    yield reply.citation
                case "completed":
                    yield _written(reply.completed)

    async def check(self, text: str, passages: Sequence[Passage]) -> Grounding:
        """How far the passages support the text."""
        request = pb.CheckGroundingRequest(text=text, passages=passages)
        reply = await self._peer.unary(self._stub.CheckGrounding, request)
        grounding: Grounding = reply.grounding
        return grounding

    async def models(self) -> list[str]:
        """Names of the models, the default first."""
        reply = await self._peer.unary(self._stub.ListModels, pb.ListModelsRequest())
        return [model.name for model in reply.models]


def _options(how: Generation) -> pb.GenerationOptions:
    return pb.GenerationOptions(
        model=how.model,
        max_output_tokens=how.max_output_tokens,
        temperature=how.temperature,
        seed=how.seed,
        language=how.language,
    )


def _policy(support: Support) -> pb.GroundingPolicy:
    return pb.GroundingPolicy(mode=_MODES[support.mode], min_score=support.min_score)


def _written(reply: pb.GenerateResponse) -> Written:
    return Written(
        text=reply.text,
        citations=reply.citations,
        grounding=reply.grounding,
        skipped_reason=reply.skipped_reason,
        confidence=reply.confidence if reply.HasField("confidence") else None,
        usage=reply.usage,
        model=reply.model,
        prompt_version=reply.prompt_version,
        cut_short=_CUT_SHORT.get(reply.finish_reason, ""),
        seconds_to_first=reply.time_to_first_token.ToNanoseconds() / 1e9,
        degraded=reply.degraded,
    )
