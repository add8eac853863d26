"""The client of the retriever's gRPC API. Every request carries the tenant, which is set only here."""

from dataclasses import replace

from rag.retriever.v1 import retriever_service_pb2 as pb
from rag.retriever.v1.retriever_service_pb2_grpc import RetrieverServiceStub
from rag_common.grpc.peer import Peer
from rag_contract import errors
from rag_gateway.answering.model import Retrieval
from rag_gateway.answering.service import SearchHits, Vectors

_FUSION = {
    "posterior": pb.FUSION_POSTERIOR,
    "rrf": pb.FUSION_RRF,
    "dbsf": pb.FUSION_DBSF,
}


class Retriever:
    """Searches for one tenant at a time, and manages indexes."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._stub = RetrieverServiceStub(peer.channel)

    async def search(self, tenant: str, vectors: Vectors, options: Retrieval) -> SearchHits:
        """The tenant's passages nearest to the vectors. Raises CollectionNotFound, FilterInvalid."""
        request = pb.SearchRequest(
            tenant_id=tenant,
            collections=options.collections,
            filter=options.filter,
            dense=vectors.dense,
            sparse=vectors.sparse,
            fingerprint=vectors.fingerprint,
            top_k=options.top_k,
            candidates=options.candidates,
            fusion=_FUSION[options.fusion],
            min_score=options.min_score,
            explain=options.explain,
            required_collections=options.named,
        )
        try:
            reply = await self._peer.unary(self._stub.Search, request)
        except errors.FilterInvalid as error:
            raise _prefixed(error, "retrieval") from error
        return SearchHits(reply.passages, reply.index_version)

    async def default_index(self) -> pb.Index:
        """The index that searches use. Raises IndexNotFound; creates nothing."""
        reply = await self._peer.unary(self._stub.GetIndex, pb.GetIndexRequest())
        index: pb.Index = reply.index
        return index

    async def create_index(self, name: str, dimensions: int, fingerprint: str) -> None:
        """Create the index unless it exists. Raises EmbeddingMismatch if it exists for another model."""
        request = pb.CreateIndexRequest(index=name, dimensions=dimensions, fingerprint=fingerprint)
        await self._peer.unary(self._stub.CreateIndex, request)


def _prefixed(error: errors.FilterInvalid, parent: str) -> errors.FilterInvalid:
    """The error with its fields' paths as the public request has them, below `parent`."""
    violations = [replace(each, field=f"{parent}.{each.field}") for each in error.violations]
    return errors.FilterInvalid.among(violations)
