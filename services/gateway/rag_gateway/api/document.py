"""The public DocumentService: translates between protobuf messages and the domain services."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rag.gateway.v1 import document_service_pb2 as pb
from rag.gateway.v1.document_service_pb2_grpc import DocumentServiceServicer
from rag.types.v1.document_pb2 import Document
from rag.types.v1.passage_pb2 import Passage
from rag_common.context import Call
from rag_common.grpc.types import Context
from rag_contract import errors
from rag_gateway.api import responses, uploads
from rag_gateway.api.guard import RequestGuard, only_collection
from rag_gateway.api.validation import parse
from rag_gateway.api.validation.validator import RequestValidator
from rag_gateway.auth.audit import Event
from rag_gateway.ingestion.service import DocumentSpec, IngestionService, IngestResult, Outcome
from rag_gateway.quotas.service import Cost
from rag_gateway.telemetry.recorder import AnswerRecorder

# All uploads together may use the memory of this many documents of the largest size.
_MAX_UPLOADS = 4

_OUTCOMES = {
    Outcome.CREATED: pb.INGEST_OUTCOME_CREATED,
    Outcome.REPLACED: pb.INGEST_OUTCOME_REPLACED,
    Outcome.UNCHANGED: pb.INGEST_OUTCOME_UNCHANGED,
}


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


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """The maximum bytes of a document in one message, and as a stream."""

    message: int
    upload: int


class DocumentServicer(DocumentServiceServicer):
    """Handles requests that the interceptor has authenticated."""

    def __init__(
        self,
        ingestion: IngestionService,
        documents: DocumentRepository,
        guard: RequestGuard,
        recorder: AnswerRecorder,
        sizes: SizeLimits,
    ) -> None:
        self._ingestion = ingestion
        self._documents = documents
        self._guard = guard
        self._recorder = recorder
        self._sizes = sizes
        self._budget = uploads.UploadBudget(_MAX_UPLOADS * sizes.upload)

    async def IngestDocument(
        self, request: pb.IngestDocumentRequest, context: Context
    ) -> pb.IngestDocumentResponse:
        RequestValidator(request).validate()
        spec = parse.spec(request.collection, request.document)
        uploads.require_size(len(request.content), self._sizes.message)
        permit = await self._guard.admit("IngestDocument", collections=[spec.collection])

        async def work() -> pb.IngestDocumentResponse:
            result = await self._ingest(permit.tenant, spec, request.content)
            return pb.IngestDocumentResponse(**_fields(result, permit.call))

        response = pb.IngestDocumentResponse
        return await self._guard.idempotent("IngestDocument", permit, request, work, response)

    async def UploadDocument(
        self,
        request_iterator: AsyncIterator[pb.UploadDocumentRequest],
        context: Context,
    ) -> pb.UploadDocumentResponse:
        first = await uploads.first(request_iterator)
        header = first.header
        self._guard.name_call(header.request_id)
        RequestValidator(first).validate()
        spec = parse.spec(header.collection, header.document)
        permit = await self._guard.admit(
            "UploadDocument",
            collections=[spec.collection],
            cost=Cost(stream=True),
        )
        with self._budget.reservation() as reservation:
            content = await uploads.content(request_iterator, self._sizes.upload, reservation)

            async def work() -> pb.UploadDocumentResponse:
                result = await self._ingest(permit.tenant, spec, content)
                return pb.UploadDocumentResponse(**_fields(result, permit.call))

            response = pb.UploadDocumentResponse
            return await self._guard.idempotent(
                "UploadDocument", permit, header, work, response, content
            )

    async def _ingest(self, tenant: str, spec: DocumentSpec, content: bytes) -> IngestResult:
        with self._recorder.ingesting(len(content)) as record:
            result = await self._ingestion.ingest(tenant, spec, content)
            record(result)
        return result

    async def GetDocument(
        self, request: pb.GetDocumentRequest, context: Context
    ) -> pb.GetDocumentResponse:
        collection, document_id = _key(request)
        permit = await self._guard.admit("GetDocument", collections=[collection])
        document = await self._documents.get(permit.tenant, collection, document_id)
        if document is None:
            raise errors.DocumentNotFound("there is no such document")
        return pb.GetDocumentResponse(document=document)

    async def ListDocuments(
        self, request: pb.ListDocumentsRequest, context: Context
    ) -> pb.ListDocumentsResponse:
        RequestValidator(request).validate()
        size = parse.page(request.page_size)
        requested = [request.collection] if request.collection else []
        permit = await self._guard.admit("ListDocuments", collections=requested)
        name = only_collection(permit, request.collection)
        page, token = await self._documents.documents(permit.tenant, name, size, request.page_token)
        return pb.ListDocumentsResponse(documents=page, next_page_token=token)

    async def ListPassages(
        self, request: pb.ListPassagesRequest, context: Context
    ) -> pb.ListPassagesResponse:
        key = _key(request)
        size = parse.page(request.page_size)
        permit = await self._guard.admit("ListPassages", collections=[key[0]])
        page = await self._documents.passages(permit.tenant, *key, request.first_ordinal, size)
        return pb.ListPassagesResponse(passages=page)

    async def DeleteDocument(
        self, request: pb.DeleteDocumentRequest, context: Context
    ) -> pb.DeleteDocumentResponse:
        key = _key(request)
        permit = await self._guard.admit("DeleteDocument", collections=[key[0]])
        with self._guard.audited(Event.DOCUMENT_DELETED, "DeleteDocument", "/".join(key)):
            deleted = await self._documents.delete(permit.tenant, *key)
        return pb.DeleteDocumentResponse(deleted_passages=deleted)


def _fields(result: IngestResult, call: Call) -> dict[str, Any]:
    """The fields of IngestDocumentResponse and of UploadDocumentResponse, which are the same."""
    return {
        "document": result.document,
        "outcome": _OUTCOMES[result.outcome],
        "timings": responses.timings(result.timings.seconds),
        "trace_id": call.trace_id,
    }


def _key(
    request: pb.GetDocumentRequest | pb.ListPassagesRequest | pb.DeleteDocumentRequest,
) -> tuple[str, str]:
    RequestValidator(request).validate()
    return parse.collection(request.collection), parse.document_id(request.document_id)
