"""The client of the ingestor's gRPC API. Every request carries the tenant, which is set only here."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Protocol

from rag.ingestor.v1 import ingestor_service_pb2 as pb
from rag.ingestor.v1.ingestor_service_pb2_grpc import IngestorServiceStub
from rag.types.v1.document_pb2 import Document
from rag.types.v1.passage_pb2 import Passage
from rag_common.grpc.peer import Peer
from rag_contract import errors

# A missing document is an expected result of these calls, not a failure of the ingestor.
_EXPECTED = (errors.NotFound,)
_PIECE_BYTES = 2**20


class Content(Protocol):
    """A document's content, read once."""

    @property
    def size(self) -> int:
        """The number of bytes read so far."""
        ...

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """The content in pieces, as they arrive."""
        ...

    async def digest(self) -> bytes:
        """SHA-256 of the whole content."""
        ...


class Ingestor:
    """Ingests, reads and deletes documents, for one tenant at a time."""

    def __init__(self, peer: Peer, *, stream_timeout: float) -> None:
        self._peer = peer
        self._stub = IngestorServiceStub(peer.channel)
        self._stream_timeout = stream_timeout

    async def ingest(
        self,
        tenant: str,
        header: pb.IngestHeader,
        content: Content,
        on_received: Callable[[int], None] = lambda _size: None,
    ) -> pb.IngestDocumentResponse:
        """Ingest a document whose content is passed on as it arrives. An error of `content` is raised as it is.

        `on_received` is called with the number of bytes when all of them have arrived. Raises InvalidArgument
        for a document that cannot be read, MessageTooLarge, Overloaded, DocumentConflict.
        """

        async def requests() -> AsyncGenerator[pb.IngestDocumentRequest, None]:
            first = pb.IngestHeader(tenant_id=tenant)
            first.MergeFrom(header)
            yield pb.IngestDocumentRequest(header=first)
            async with aclosing(content.pieces()) as pieces:
                async for piece in pieces:
                    for start in range(0, len(piece), _PIECE_BYTES):
                        part = piece[start : start + _PIECE_BYTES]
                        yield pb.IngestDocumentRequest(content=part)
            on_received(content.size)
            end = pb.ContentEnd(size=content.size, sha256=await content.digest())
            yield pb.IngestDocumentRequest(end=end)

        reply: pb.IngestDocumentResponse = await self._peer.upload(
            self._stub.IngestDocument, requests(), timeout=self._stream_timeout
        )
        return reply

    async def media_types(self) -> list[str]:
        """The media types of documents that can be ingested."""
        reply = await self._peer.unary(self._stub.ListMediaTypes, pb.ListMediaTypesRequest())
        return list(reply.media_types)

    async def get(self, tenant: str, collection: str, document_id: str) -> Document:
        """The document, without its passages. Raises NotFound."""
        request = pb.GetDocumentRequest(
            tenant_id=tenant, collection=collection, document_id=document_id
        )
        reply = await self._peer.unary(self._stub.GetDocument, request, expected=_EXPECTED)
        document: Document = reply.document
        return document

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
        request = pb.ListPassagesRequest(
            tenant_id=tenant,
            collection=collection,
            document_id=document_id,
            first_ordinal=first,
            page_size=page_size,
        )
        reply = await self._peer.unary(self._stub.ListPassages, request, expected=_EXPECTED)
        passages: Sequence[Passage] = reply.passages
        return passages

    async def delete(self, tenant: str, collection: str, document_id: str) -> int:
        """Delete a document; returns the number of its passages. Raises NotFound."""
        request = pb.DeleteDocumentRequest(
            tenant_id=tenant, collection=collection, document_id=document_id
        )
        reply = await self._peer.unary(self._stub.DeleteDocument, request, expected=_EXPECTED)
        return int(reply.deleted_passages)
