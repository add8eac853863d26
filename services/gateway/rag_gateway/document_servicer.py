"""The public document API: protobuf to the core and back."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from rag.gateway.v1 import document_service_pb2 as pb
from rag.gateway.v1.document_service_pb2_grpc import DocumentServiceServicer
from rag.types.v1.document_pb2 import Document
from rag.types.v1.passage_pb2 import Passage
from rag_common import errors
from rag_common.rpc.types import Context
from rag_gateway import replies, requests
from rag_gateway.answer_servicer import caller
from rag_gateway.ingestion import Ingesting, Outcome
from rag_gateway.requests import Checks

_OUTCOMES = {
    Outcome.CREATED: pb.INGEST_OUTCOME_CREATED,
    Outcome.REPLACED: pb.INGEST_OUTCOME_REPLACED,
    Outcome.UNCHANGED: pb.INGEST_OUTCOME_UNCHANGED,
}
_MOST_PIECE = 2**20


class Shelf(Protocol):
    """Where documents are kept, for one tenant at a time. Raises AppError."""

    async def get(self, tenant: str, collection: str, document_id: str) -> Document | None: ...

    async def documents(
        self, tenant: str, collection: str, page_size: int, page_token: str
    ) -> tuple[Sequence[Document], str]: ...

    async def passages(
        self, tenant: str, collection: str, document_id: str, first: int, page_size: int
    ) -> Sequence[Passage]: ...

    async def delete(self, tenant: str, collection: str, document_id: str) -> int: ...


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """Most bytes of a document in one message, and as a stream."""

    message: int
    upload: int


class DocumentServicer(DocumentServiceServicer):
    """Translates; the core does the work, the interceptor has let the caller in."""

    def __init__(self, ingesting: Ingesting, shelf: Shelf, sizes: SizeLimits) -> None:
        self._ingesting = ingesting
        self._shelf = shelf
        self._sizes = sizes

    async def IngestDocument(
        self, request: pb.IngestDocumentRequest, context: Context
    ) -> pb.IngestDocumentResponse:
        call, tenant = caller(request.request_id)
        checks = Checks()
        spec = requests.spec(checks, request.collection, request.document)
        checks.require(bool(request.content), "content", "is empty")
        checks.done()
        _refuse_over(len(request.content), self._sizes.message)
        done = await self._ingesting.ingest(tenant, spec, request.content)
        return pb.IngestDocumentResponse(
            document=done.document,
            outcome=_OUTCOMES[done.outcome],
            timings=replies.timings(done.journey.seconds),
            trace_id=call.trace.trace_id,
        )

    async def UploadDocument(
        self,
        request_iterator: AsyncIterator[pb.UploadDocumentRequest],
        context: Context,
    ) -> pb.UploadDocumentResponse:
        header = await _header(request_iterator)
        call, tenant = caller(header.request_id)
        checks = Checks()
        spec = requests.spec(checks, header.collection, header.document)
        checks.done()
        content = await _content(request_iterator, self._sizes.upload)
        done = await self._ingesting.ingest(tenant, spec, content)
        return pb.UploadDocumentResponse(
            document=done.document,
            outcome=_OUTCOMES[done.outcome],
            timings=replies.timings(done.journey.seconds),
            trace_id=call.trace.trace_id,
        )

    async def GetDocument(
        self, request: pb.GetDocumentRequest, context: Context
    ) -> pb.GetDocumentResponse:
        _, tenant = caller("")
        found = await self._shelf.get(tenant, *_key(request.collection, request.document_id))
        if found is None:
            raise errors.NotFound("there is no such document")
        return pb.GetDocumentResponse(document=found)

    async def ListDocuments(
        self, request: pb.ListDocumentsRequest, context: Context
    ) -> pb.ListDocumentsResponse:
        _, tenant = caller("")
        checks = Checks()
        size = requests.page(checks, request.page_size, request.page_token)
        if request.collection:
            requests.collection(checks, request.collection)
        checks.done()
        found, token = await self._shelf.documents(
            tenant, request.collection, size, request.page_token
        )
        return pb.ListDocumentsResponse(documents=found, next_page_token=token)

    async def ListPassages(
        self, request: pb.ListPassagesRequest, context: Context
    ) -> pb.ListPassagesResponse:
        _, tenant = caller("")
        checks = Checks()
        size = requests.page(checks, request.page_size)
        checks.done()
        key = _key(request.collection, request.document_id)
        found = await self._shelf.passages(tenant, *key, request.first_ordinal, size)
        return pb.ListPassagesResponse(passages=found)

    async def DeleteDocument(
        self, request: pb.DeleteDocumentRequest, context: Context
    ) -> pb.DeleteDocumentResponse:
        _, tenant = caller("")
        key = _key(request.collection, request.document_id)
        return pb.DeleteDocumentResponse(deleted_passages=await self._shelf.delete(tenant, *key))


async def _header(pieces: AsyncIterator[pb.UploadDocumentRequest]) -> pb.UploadHeader:
    first = await anext(pieces, None)
    if first is None or first.WhichOneof("part") != "header":
        raise errors.InvalidArgument.of("header", "must come in the first message")
    return first.header


async def _content(pieces: AsyncIterator[pb.UploadDocumentRequest], most: int) -> bytes:
    content = bytearray()
    async for piece in pieces:
        if piece.WhichOneof("part") != "content":
            raise errors.InvalidArgument.of("content", "must be all that follows the header")
        if len(piece.content) > _MOST_PIECE:
            raise errors.InvalidArgument.of(
                "content", f"must come in pieces of at most {_MOST_PIECE} bytes"
            )
        _refuse_over(len(content) + len(piece.content), most)
        content += piece.content
    if not content:
        raise errors.InvalidArgument.of("content", "is empty")
    return bytes(content)


def _refuse_over(size: int, most: int) -> None:
    if size > most:
        raise errors.MessageTooLarge(
            f"the document has over {most} bytes; larger ones go by UploadDocument, up to its limit",
            metadata={"limit_bytes": str(most)},
        )


def _key(collection: str, document_id: str) -> tuple[str, str]:
    checks = Checks()
    key = requests.collection(checks, collection), requests.document_id(checks, document_id)
    checks.done()
    return key
