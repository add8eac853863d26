"""The public DocumentService: translates between protobuf messages and the domain services."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rag.gateway.v1 import document_service_pb2 as pb
from rag.gateway.v1.document_service_pb2_grpc import DocumentServiceServicer
from rag.gateway.v1.options_pb2 import StageTiming
from rag.ingestor.v1 import ingestor_service_pb2 as ingestor
from rag.types.v1.document_pb2 import Document
from rag.types.v1.passage_pb2 import Passage
from rag_common.context import Call
from rag_common.grpc.types import Context
from rag_gateway.api import uploads
from rag_gateway.api.guard import RequestGuard, only_collection
from rag_gateway.api.validation import parse
from rag_gateway.api.validation.validator import RequestValidator
from rag_gateway.auth.audit import Event
from rag_gateway.clients.ingestor import Content
from rag_gateway.quotas.service import Cost
from rag_gateway.telemetry.recorder import AnswerRecorder

_OUTCOMES = {
    ingestor.INGEST_OUTCOME_CREATED: pb.INGEST_OUTCOME_CREATED,
    ingestor.INGEST_OUTCOME_REPLACED: pb.INGEST_OUTCOME_REPLACED,
    ingestor.INGEST_OUTCOME_UNCHANGED: pb.INGEST_OUTCOME_UNCHANGED,
}


class Documents(Protocol):
    """Ingests, reads and deletes documents, for one tenant at a time. Raises AppError."""

    async def ingest(
        self,
        tenant: str,
        header: ingestor.IngestHeader,
        content: Content,
        on_received: Callable[[int], None],
    ) -> ingestor.IngestDocumentResponse:
        """Ingest a document whose content is passed on as it arrives; `on_received` gets its bytes then."""
        ...

    async def get(self, tenant: str, collection: str, document_id: str) -> Document: ...

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
        documents: Documents,
        guard: RequestGuard,
        recorder: AnswerRecorder,
        sizes: SizeLimits,
    ) -> None:
        self._documents = documents
        self._guard = guard
        self._recorder = recorder
        self._sizes = sizes

    async def IngestDocument(
        self, request: pb.IngestDocumentRequest, context: Context
    ) -> pb.IngestDocumentResponse:
        RequestValidator(request).validate()
        header = parse.ingest_header(request.collection, request.document)
        uploads.require_size(len(request.content), self._sizes.message)
        permit = await self._guard.admit("IngestDocument", collections=[header.collection])

        async def work() -> pb.IngestDocumentResponse:
            content = uploads.WholeContent(request.content)
            result = await self._ingest(permit.tenant, header, content)
            return pb.IngestDocumentResponse(**_fields(result, permit.call))

        response = pb.IngestDocumentResponse
        return await self._guard.idempotent("IngestDocument", permit, request, work, response)

    async def UploadDocument(
        self,
        request_iterator: AsyncIterator[pb.UploadDocumentRequest],
        context: Context,
    ) -> pb.UploadDocumentResponse:
        first = await uploads.first(request_iterator)
        self._guard.name_call(first.header.request_id)
        RequestValidator(first).validate()
        header = parse.ingest_header(first.header.collection, first.header.document)
        permit = await self._guard.admit(
            "UploadDocument",
            collections=[header.collection],
            cost=Cost(stream=True),
        )
        upload = uploads.Upload(request_iterator, self._sizes.upload)

        async def work() -> pb.UploadDocumentResponse:
            result = await self._ingest(permit.tenant, header, upload)
            return pb.UploadDocumentResponse(**_fields(result, permit.call))

        response = pb.UploadDocumentResponse
        try:
            return await self._guard.idempotent(
                "UploadDocument", permit, first.header, work, response, upload.digest
            )
        except Exception:
            await upload.settle()
            raise

    async def _ingest(
        self, tenant: str, header: ingestor.IngestHeader, content: Content
    ) -> ingestor.IngestDocumentResponse:
        with self._recorder.ingesting() as observation:
            result = await self._documents.ingest(tenant, header, content, observation.received)
            outcome = pb.IngestOutcome.Name(_outcome(result)).removeprefix("INGEST_OUTCOME_")
            observation.finished(outcome.lower(), result.document.passage_count)
        return result

    async def GetDocument(
        self, request: pb.GetDocumentRequest, context: Context
    ) -> pb.GetDocumentResponse:
        collection, document_id = _key(request)
        permit = await self._guard.admit("GetDocument", collections=[collection])
        document = await self._documents.get(permit.tenant, collection, document_id)
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


def _fields(result: ingestor.IngestDocumentResponse, call: Call) -> dict[str, Any]:
    """The fields of IngestDocumentResponse and of UploadDocumentResponse, which are the same."""
    return {
        "document": result.document,
        "outcome": _outcome(result),
        "timings": [
            StageTiming(stage=timing.stage, duration=timing.duration) for timing in result.timings
        ],
        "trace_id": call.trace_id,
    }


def _outcome(result: ingestor.IngestDocumentResponse) -> pb.IngestOutcome:
    """The public outcome; unspecified for one that a newer ingestor knows."""
    return _OUTCOMES.get(result.outcome, pb.INGEST_OUTCOME_UNSPECIFIED)


def _key(
    request: pb.GetDocumentRequest | pb.ListPassagesRequest | pb.DeleteDocumentRequest,
) -> tuple[str, str]:
    RequestValidator(request).validate()
    return parse.collection(request.collection), parse.document_id(request.document_id)
