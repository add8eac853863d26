"""The retriever, by gRPC. The tenant goes into every request here and nowhere else."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from rag.retriever.v1 import retriever_service_pb2 as pb
from rag.retriever.v1.retriever_service_pb2_grpc import RetrieverServiceStub
from rag.types.v1.document_pb2 import Document
from rag.types.v1.passage_pb2 import Passage
from rag_common import errors
from rag_common.rpc.client import Peer
from rag_gateway.core import Hits, Vectors
from rag_gateway.ingestion import Outline
from rag_gateway.question import Retrieval

_FUSION = {
    "posterior": pb.FUSION_POSTERIOR,
    "rrf": pb.FUSION_RRF,
    "dbsf": pb.FUSION_DBSF,
}
_PIECE = 512 * 1024


class Retriever:
    """Searches, reads files, and keeps documents, for one tenant at a time."""

    def __init__(self, peer: Peer, *, stream_timeout: float) -> None:
        self._peer = peer
        self._stub = RetrieverServiceStub(peer.channel)
        self._stream_timeout = stream_timeout

    async def search(self, tenant: str, vectors: Vectors, options: Retrieval) -> Hits:
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
        )
        try:
            reply = await self._peer.unary(self._stub.Search, request)
        except errors.FilterInvalid as error:
            raise _below(error, "retrieval") from error
        if not reply.passages:
            await self._require_collections(tenant, options.named)
        return Hits(reply.passages, reply.index_version)

    async def split(self, content: bytes, filename: str, media_type: str) -> "RemoteSplit":
        """A file's outline, with its chunks to follow. Raises InvalidArgument."""
        replies = self._peer.stream(
            self._stub.SplitDocument,
            _pieces(content, filename, media_type),
            timeout=self._stream_timeout,
        )
        outline = (await anext(replies)).outline
        return RemoteSplit(
            Outline(
                outline.title, outline.media_type, outline.character_count, outline.chunk_count
            ),
            replies,
        )

    async def get(self, tenant: str, collection: str, document_id: str) -> Document | None:
        """What is known of a document, None where the tenant has none of that id."""
        request = pb.GetDocumentRequest(
            tenant_id=tenant, collection=collection, document_id=document_id
        )
        try:
            reply = await self._peer.unary(self._stub.GetDocument, request)
        except errors.NotFound:
            return None
        found: Document = reply.document
        return found

    async def put(
        self,
        tenant: str,
        document: Document,
        fingerprint: str,
        batches: AsyncIterator[Sequence[pb.VectorChunk]],
    ) -> Document:
        """Store a document's chunks; what is there stays until all of them are."""

        async def requests() -> AsyncIterator[pb.UpsertChunksRequest]:
            header = pb.UpsertHeader(tenant_id=tenant, document=document, fingerprint=fingerprint)
            yield pb.UpsertChunksRequest(header=header)
            async for batch in batches:
                yield pb.UpsertChunksRequest(chunks=pb.VectorChunkBatch(chunks=batch))

        reply = await self._peer.upload(
            self._stub.UpsertChunks, requests(), timeout=self._stream_timeout
        )
        stored: Document = reply.document
        return stored

    async def delete(self, tenant: str, collection: str, document_id: str) -> int:
        """Remove a document; how many passages went with it. Raises NotFound."""
        request = pb.DeleteChunksRequest(
            tenant_id=tenant, collection=collection, document_id=document_id
        )
        reply = await self._peer.unary(self._stub.DeleteChunks, request)
        return int(reply.deleted_count)

    async def documents(
        self, tenant: str, collection: str, page_size: int, page_token: str
    ) -> tuple[Sequence[Document], str]:
        """A page of documents and the token of the next."""
        request = pb.ListDocumentsRequest(
            tenant_id=tenant, collection=collection, page_size=page_size, page_token=page_token
        )
        reply = await self._peer.unary(self._stub.ListDocuments, request)
        return reply.documents, reply.next_page_token

    async def passages(
        self, tenant: str, collection: str, document_id: str, first: int, page_size: int
    ) -> Sequence[Passage]:
        """A document's passages in order. Raises NotFound."""
        request = pb.ListChunksRequest(
            tenant_id=tenant,
            collection=collection,
            document_id=document_id,
            first_ordinal=first,
            page_size=page_size,
        )
        reply = await self._peer.unary(self._stub.ListChunks, request)
        found: Sequence[Passage] = reply.passages
        return found

    async def ensure_index(self, name: str, dimensions: int, fingerprint: str) -> None:
        """Make the index unless it is there. Raises EmbeddingMismatch where another model's is."""
        request = pb.CreateIndexRequest(index=name, dimensions=dimensions, fingerprint=fingerprint)
        await self._peer.unary(self._stub.CreateIndex, request)

    async def _require_collections(self, tenant: str, collections: Sequence[str]) -> None:
        for name in collections:
            request = pb.CountRequest(tenant_id=tenant, collections=[name])
            if not (await self._peer.unary(self._stub.Count, request)).documents:
                raise errors.CollectionNotFound(
                    f"there is no collection {name}", metadata={"collection": name}
                )


class RemoteSplit:
    """A file being cut by the retriever."""

    def __init__(self, outline: Outline, replies: AsyncIterator[pb.SplitDocumentResponse]) -> None:
        self.outline = outline
        self._replies = replies

    async def batches(self) -> AsyncIterator[Sequence[pb.TextChunk]]:
        """The chunks in order, as they come."""
        async for reply in self._replies:
            yield reply.chunks.chunks


async def _pieces(
    content: bytes, filename: str, media_type: str
) -> AsyncIterator[pb.SplitDocumentRequest]:
    header = pb.SplitHeader(filename=filename, media_type=media_type)
    yield pb.SplitDocumentRequest(header=header)
    for start in range(0, len(content), _PIECE):
        yield pb.SplitDocumentRequest(content=content[start : start + _PIECE])


def _below(error: errors.FilterInvalid, parent: str) -> errors.FilterInvalid:
    below = [replace(found, field=f"{parent}.{found.field}") for found in error.violations]
    return errors.FilterInvalid.among(below)
