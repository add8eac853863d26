"""The client of the retriever's gRPC API. Every request carries the tenant, which is set only here."""

from collections.abc import AsyncIterator, Sequence

from rag.retriever.v1 import retriever_service_pb2 as pb
from rag.retriever.v1.retriever_service_pb2_grpc import RetrieverServiceStub
from rag.types.v1.document_pb2 import Document
from rag.types.v1.filter_pb2 import Condition, Filter, StringSet
from rag.types.v1.passage_pb2 import Passage
from rag_common.grpc.peer import Peer
from rag_contract import errors
from rag_ingestor.pipeline.service import Outcome, StoredDocument

# A missing document is an expected result of these calls, not a failure of the retriever.
_EXPECTED = (errors.NotFound,)


class Retriever:
    """Stores, reads and deletes the documents of the index, for one tenant at a time."""

    def __init__(self, peer: Peer, *, stream_timeout: float) -> None:
        self._peer = peer
        self._stub = RetrieverServiceStub(peer.channel)
        self._stream_timeout = stream_timeout

    async def get(self, tenant: str, collection: str, document_id: str) -> Document | None:
        """The document, without its passages; None if the tenant has no document of that id."""
        request = pb.GetDocumentRequest(
            tenant_id=tenant, collection=collection, document_id=document_id
        )
        try:
            reply = await self._peer.unary(self._stub.GetDocument, request, expected=_EXPECTED)
        except errors.NotFound:
            return None
        document: Document = reply.document
        return document

    async def is_complete(self, tenant: str, document: Document) -> bool:
        """Whether the index holds all passages of the document."""
        condition = Condition(key="document_id", any_of=StringSet(values=[document.document_id]))
        request = pb.CountRequest(
            tenant_id=tenant, collections=[document.collection], filter=Filter(must=[condition])
        )
        reply = await self._peer.unary(self._stub.Count, request)
        return bool(reply.chunks >= document.passage_count)

    async def put(
        self,
        tenant: str,
        document: Document,
        fingerprint: str,
        batches: AsyncIterator[Sequence[pb.VectorChunk]],
    ) -> StoredDocument:
        """Store a document's chunks; a previous version stays searchable until all are stored.

        Raises DocumentConflict.
        """

        async def requests() -> AsyncIterator[pb.UpsertChunksRequest]:
            header = pb.UpsertHeader(tenant_id=tenant, document=document, fingerprint=fingerprint)
            yield pb.UpsertChunksRequest(header=header)
            async for batch in batches:
                yield pb.UpsertChunksRequest(chunks=pb.VectorChunkBatch(chunks=batch))

        reply = await self._peer.upload(
            self._stub.UpsertChunks, requests(), timeout=self._stream_timeout
        )
        return StoredDocument(reply.document, _outcome(reply))

    async def delete(self, tenant: str, collection: str, document_id: str) -> int:
        """Delete a document; returns the number of its passages. Raises NotFound."""
        request = pb.DeleteChunksRequest(
            tenant_id=tenant, collection=collection, document_id=document_id
        )
        reply = await self._peer.unary(self._stub.DeleteChunks, request, expected=_EXPECTED)
        return int(reply.deleted_count)

    async def documents(
        self, tenant: str, collection: str, page_size: int, page_token: str
    ) -> tuple[Sequence[Document], str]:
        """A page of documents, and the token of the next page, empty on the last one."""
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
        reply = await self._peer.unary(self._stub.ListChunks, request, expected=_EXPECTED)
        passages: Sequence[Passage] = reply.passages
        return passages


def _outcome(reply: pb.UpsertChunksResponse) -> Outcome:
    if reply.unchanged:
        return Outcome.UNCHANGED
    return Outcome.REPLACED if reply.replaced else Outcome.CREATED
