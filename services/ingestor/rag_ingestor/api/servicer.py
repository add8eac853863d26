"""The gRPC servicer of the ingestor: translates between messages and the pipeline."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from google.protobuf.struct_pb2 import ListValue

from rag.ingestor.v1 import ingestor_service_pb2 as pb
from rag.ingestor.v1.ingestor_service_pb2_grpc import IngestorServiceServicer
from rag.types.v1.document_pb2 import Document
from rag.types.v1.passage_pb2 import Passage
from rag_common.grpc.request_header import read_header
from rag_common.grpc.types import Context
from rag_contract import errors
from rag_contract.durations import set_seconds
from rag_ingestor.api.uploads import UploadBudget
from rag_ingestor.chunking.chunks import SourceFile
from rag_ingestor.clients.messages import text_chunk
from rag_ingestor.pipeline.service import (
    DocumentSpec,
    FileSplitter,
    IngestionService,
    IngestResult,
    Outcome,
)
from rag_ingestor.pipeline.warnings import reading_warnings

_OUTCOMES = {
    Outcome.CREATED: pb.INGEST_OUTCOME_CREATED,
    Outcome.REPLACED: pb.INGEST_OUTCOME_REPLACED,
    Outcome.UNCHANGED: pb.INGEST_OUTCOME_UNCHANGED,
}
_MAX_PAGE_SIZE = 1000
_CHUNKS_PER_MESSAGE = 16


class DocumentRepository(Protocol):
    """Reads and deletes documents, for one tenant at a time. Raises AppError."""

    async def get(self, tenant: str, collection: str, document_id: str) -> Document | None: ...

    async def documents(
        self, tenant: str, collection: str, page_size: int, page_token: str
    ) -> tuple[Sequence[Document], str]: ...

    async def passages(
        self, tenant: str, collection: str, document_id: str, first: int, page_size: int
    ) -> Sequence[Passage]: ...

    async def delete(self, tenant: str, collection: str, document_id: str) -> int: ...


class IngestorServicer(IngestorServiceServicer):
    """Converts messages to calls of the pipeline and of the repository."""

    def __init__(
        self,
        splitter: FileSplitter,
        ingestion: IngestionService,
        documents: DocumentRepository,
        budget: UploadBudget,
        media_types: Sequence[str],
    ) -> None:
        self._splitter = splitter
        self._ingestion = ingestion
        self._documents = documents
        self._budget = budget
        self._media_types = media_types

    async def IngestDocument(
        self,
        request_iterator: AsyncIterator[pb.IngestDocumentRequest],
        context: Context,
    ) -> pb.IngestDocumentResponse:
        head: pb.IngestHeader = await read_header(request_iterator)
        _require(head, "tenant_id", "collection", prefix="header.")
        with self._budget.upload() as upload:
            await upload.read(request_iterator)
            result = await self._ingestion.ingest(head.tenant_id, _spec(head), upload)
        return _response(result)

    async def SplitDocument(
        self,
        request_iterator: AsyncIterator[pb.SplitDocumentRequest],
        context: Context,
    ) -> AsyncIterator[pb.SplitDocumentResponse]:
        head: pb.SplitHeader = await read_header(request_iterator)
        with self._budget.upload() as upload:
            await upload.read(request_iterator, ended=False)
            file = SourceFile(upload.content, head.filename, head.media_type)
            split = await self._splitter.split(file)
        outline = pb.Outline(
            title=split.title,
            media_type=split.media_type,
            character_count=len(split.text),
            chunk_count=len(split.chunks),
            warnings=reading_warnings(split.unread),
        )
        yield pb.SplitDocumentResponse(outline=outline)
        for start in range(0, len(split.chunks), _CHUNKS_PER_MESSAGE):
            chunks = [text_chunk(one) for one in split.chunks[start : start + _CHUNKS_PER_MESSAGE]]
            yield pb.SplitDocumentResponse(chunks=pb.ChunkBatch(chunks=chunks))

    async def GetDocument(
        self, request: pb.GetDocumentRequest, context: Context
    ) -> pb.GetDocumentResponse:
        document = await self._documents.get(*_key(request))
        if document is None:
            raise errors.DocumentNotFound("there is no such document")
        return pb.GetDocumentResponse(document=document)

    async def ListDocuments(
        self, request: pb.ListDocumentsRequest, context: Context
    ) -> pb.ListDocumentsResponse:
        _require(request, "tenant_id")
        page, token = await self._documents.documents(
            request.tenant_id, request.collection, _page_size(request.page_size), request.page_token
        )
        return pb.ListDocumentsResponse(documents=page, next_page_token=token)

    async def ListPassages(
        self, request: pb.ListPassagesRequest, context: Context
    ) -> pb.ListPassagesResponse:
        page = await self._documents.passages(
            *_key(request), request.first_ordinal, _page_size(request.page_size)
        )
        return pb.ListPassagesResponse(passages=page)

    async def DeleteDocument(
        self, request: pb.DeleteDocumentRequest, context: Context
    ) -> pb.DeleteDocumentResponse:
        deleted = await self._documents.delete(*_key(request))
        return pb.DeleteDocumentResponse(deleted_passages=deleted)

    async def ListMediaTypes(
        self, request: pb.ListMediaTypesRequest, context: Context
    ) -> pb.ListMediaTypesResponse:
        return pb.ListMediaTypesResponse(media_types=self._media_types)


def _spec(message: pb.IngestHeader) -> DocumentSpec:
    return DocumentSpec(
        collection=message.collection,
        document_id=message.document_id,
        title=message.title,
        uri=message.uri,
        filename=message.filename,
        media_type=message.media_type,
        metadata={
            name: list(value) if isinstance(value, ListValue) else value
            for name, value in message.metadata.items()
        },
    )


def _response(result: IngestResult) -> pb.IngestDocumentResponse:
    response = pb.IngestDocumentResponse(
        document=result.document, outcome=_OUTCOMES[result.outcome]
    )
    for stage, seconds in result.timings.seconds.items():
        set_seconds(response.timings.add(stage=stage).duration, seconds)
    return response


def _key(request: Any) -> tuple[str, str, str]:
    """Tenant, collection and id of the document that a request names."""
    _require(request, "tenant_id", "collection", "document_id")
    return request.tenant_id, request.collection, request.document_id


def _require(message: Any, *fields: str, prefix: str = "") -> None:
    """Raise InvalidArgument if a field is empty."""
    for field in fields:
        if not getattr(message, field):
            raise errors.FieldInvalid.of(prefix + field, "is empty")


def _page_size(size: int) -> int:
    if size > _MAX_PAGE_SIZE:
        raise errors.FieldInvalid.of("page_size", f"must be 0 to {_MAX_PAGE_SIZE}")
    return size or 100
