"""The client of the embedder's gRPC API."""

from collections.abc import Sequence

from rag.embedder.v1 import embedder_service_pb2 as pb
from rag.embedder.v1.embedder_service_pb2_grpc import EmbedderServiceStub
from rag_common.grpc.peer import Peer
from rag_contract.durations import to_seconds
from rag_gateway.answering.service import Vectors

_REPRESENTATION = {
    (True, True): pb.REPRESENTATION_BOTH,
    (True, False): pb.REPRESENTATION_DENSE,
    (False, True): pb.REPRESENTATION_SPARSE,
}


class Embedder:
    """Embeds queries, and reranks passages."""

    def __init__(self, peer: Peer, *, rerank_timeout: float) -> None:
        self._peer = peer
        self._stub = EmbedderServiceStub(peer.channel)
        self._rerank_timeout = rerank_timeout

    async def query(self, text: str, *, dense: bool, sparse: bool) -> Vectors:
        """The vectors of a query; for the dense one a query over the model's length is truncated."""
        request = pb.EmbedRequest(
            texts=[text],
            task=pb.TASK_QUERY,
            representation=_REPRESENTATION[dense, sparse],
            overflow=pb.OVERFLOW_TRUNCATE,
        )
        reply = await self._peer.unary(self._stub.Embed, request)
        [embedding] = reply.embeddings
        timings = reply.timings
        seconds = {
            "embed.queue": to_seconds(timings.queue),
            "embed.tokenize": to_seconds(timings.tokenize),
            "embed.inference": to_seconds(timings.inference),
        }
        return Vectors(
            embedding.dense if dense else None,
            embedding.sparse if sparse else None,
            reply.fingerprint,
            seconds,
        )

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """The cross-encoder's score of each text. Raises NotConfigured if there is no cross-encoder."""
        request = pb.RerankRequest(query=query, texts=texts)
        reply = await self._peer.unary(self._stub.Rerank, request, timeout=self._rerank_timeout)
        return list(reply.scores)

    async def model(self) -> pb.GetModelInfoResponse:
        """The embedding model in use."""
        reply: pb.GetModelInfoResponse = await self._peer.unary(
            self._stub.GetModelInfo, pb.GetModelInfoRequest()
        )
        return reply
