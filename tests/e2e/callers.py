"""One tenant's calls of the public API, and what a refused call says."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2 as details
from google.rpc.status_pb2 import Status

from rag.gateway.v1 import answer_service_pb2 as answers
from rag.gateway.v1 import document_service_pb2 as documents
from rag.gateway.v1.answer_service_pb2_grpc import AnswerServiceStub
from rag.gateway.v1.document_service_pb2_grpc import DocumentServiceStub
from rag.types.v1.passage_pb2 import Passage

CREATED = documents.INGEST_OUTCOME_CREATED
REPLACED = documents.INGEST_OUTCOME_REPLACED
UNCHANGED = documents.INGEST_OUTCOME_UNCHANGED

_PIECE = 2**20
_SECONDS = 60.0


class Caller:
    """Calls as one token allows; every method raises grpc.aio.AioRpcError."""

    def __init__(
        self, channel: grpc.aio.Channel, token: str, *, extra: Sequence[tuple[str, str]] = ()
    ) -> None:
        self.channel = channel
        self.metadata = (("authorization", f"Bearer {token}"), *extra)
        self._answers: Any = AnswerServiceStub(channel)
        self._documents: Any = DocumentServiceStub(channel)

    async def ask(self, query: str, **fields: Any) -> answers.AnswerResponse:
        request = answers.AnswerRequest(query=query, **fields)
        return await self._call(self._answers.Answer, request)

    def stream(
        self, query: str, timeout: float = _SECONDS, **fields: Any
    ) -> "grpc.aio.UnaryStreamCall[Any, answers.StreamAnswerResponse]":
        request = answers.StreamAnswerRequest(query=query, **fields)
        return self._answers.StreamAnswer(request, metadata=self.metadata, timeout=timeout)

    async def events(self, query: str, **fields: Any) -> list[answers.StreamAnswerResponse]:
        return [event async for event in self.stream(query, **fields)]

    async def search(
        self, query: str, timeout: float = _SECONDS, **fields: Any
    ) -> answers.SearchResponse:
        request = answers.SearchRequest(query=query, **fields)
        return await self._call(self._answers.Search, request, timeout)

    async def check(self, text: str, passages: Sequence[Passage]) -> answers.CheckGroundingResponse:
        request = answers.CheckGroundingRequest(text=text, passages=passages)
        return await self._call(self._answers.CheckGrounding, request)

    async def capabilities(self) -> answers.GetCapabilitiesResponse:
        return await self._call(self._answers.GetCapabilities, answers.GetCapabilitiesRequest())

    async def ingest(
        self, document_id: str, content: bytes | str, collection: str = "", **spec: Any
    ) -> documents.IngestDocumentResponse:
        request = documents.IngestDocumentRequest(
            collection=collection,
            document=documents.DocumentSpec(document_id=document_id, **spec),
            content=content.encode() if isinstance(content, str) else content,
        )
        return await self._call(self._documents.IngestDocument, request)

    async def upload(
        self, document_id: str, content: bytes, piece: int = _PIECE, collection: str = ""
    ) -> documents.UploadDocumentResponse:
        header = documents.UploadHeader(
            collection=collection, document=documents.DocumentSpec(document_id=document_id)
        )
        parts = [documents.UploadDocumentRequest(header=header)]
        parts += [
            documents.UploadDocumentRequest(content=content[start : start + piece])
            for start in range(0, len(content), piece)
        ]
        return await self.send(parts)

    async def send(
        self, parts: Sequence[documents.UploadDocumentRequest]
    ) -> documents.UploadDocumentResponse:
        """An upload message by message, whatever they are."""

        async def messages() -> AsyncIterator[documents.UploadDocumentRequest]:
            for part in parts:
                yield part

        return await self._call(self._documents.UploadDocument, messages(), 280)

    async def get(self, document_id: str, collection: str = "") -> Any:
        request = documents.GetDocumentRequest(collection=collection, document_id=document_id)
        return (await self._call(self._documents.GetDocument, request)).document

    async def documents(self, **fields: Any) -> documents.ListDocumentsResponse:
        request = documents.ListDocumentsRequest(**fields)
        return await self._call(self._documents.ListDocuments, request)

    async def every_document(self, **fields: Any) -> list[str]:
        """Ids of all documents, page after page."""
        result: list[str] = []
        token = ""
        while True:
            page = await self.documents(page_token=token, **fields)
            result += [document.document_id for document in page.documents]
            token = page.next_page_token
            if not token:
                return result

    async def passages(self, document_id: str, **fields: Any) -> Sequence[Passage]:
        request = documents.ListPassagesRequest(document_id=document_id, **fields)
        return (await self._call(self._documents.ListPassages, request)).passages

    async def delete(self, document_id: str, collection: str = "") -> int:
        request = documents.DeleteDocumentRequest(collection=collection, document_id=document_id)
        reply = await self._call(self._documents.DeleteDocument, request)
        return int(reply.deleted_passages)

    async def _call(
        self, method: Callable[..., Awaitable[Any]], request: Any, timeout: float = _SECONDS
    ) -> Any:
        return await method(request, metadata=self.metadata, timeout=timeout)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused call: its code, and the details of the error contract; empty where there are none."""

    code: str
    message: str
    reason: str
    metadata: dict[str, str]
    fields: tuple[str, ...]
    retry_after: float | None
    request_id: str
    trace_id: str
    korean: tuple[str, ...]


# Rows of the error contract, as far as they can be reached today. CANCELLED is the caller's own doing.
CONTRACT = {
    "INVALID_ARGUMENT": {"FIELD_INVALID", "FILTER_INVALID", "INPUT_TOO_LONG", "MESSAGE_MALFORMED"},
    "UNAUTHENTICATED": {"TOKEN_MISSING", "TOKEN_EXPIRED", "TOKEN_INVALID"},
    "PERMISSION_DENIED": {"SCOPE_MISSING"},
    "NOT_FOUND": {"DOCUMENT_NOT_FOUND", "COLLECTION_NOT_FOUND", "INDEX_NOT_FOUND"},
    "RESOURCE_EXHAUSTED": {"CONCURRENCY_LIMIT", "QUEUE_FULL", "MESSAGE_TOO_LARGE"},
    "UNAVAILABLE": {"DRAINING", "OVERLOADED", "DEPENDENCY_DOWN", "MODEL_LOADING"},
    "FAILED_PRECONDITION": {"EMBEDDING_MISMATCH", "NOT_CONFIGURED"},
    "ABORTED": {"DOCUMENT_CONFLICT", "REQUEST_ID_REUSED"},
    "DEADLINE_EXCEEDED": {"BUDGET_EXHAUSTED"},
}


FIELD = ("INVALID_ARGUMENT", "FIELD_INVALID")
TOO_LARGE = ("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE")


def row(found: Refusal) -> tuple[str, str]:
    """The row of the contract that a refusal is of."""
    return found.code, found.reason


async def refused(call: Awaitable[Any]) -> Refusal:
    """Await a call that must be refused; what it says."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return refusal(raised.value)


def refusal(error: grpc.RpcError) -> Refusal:
    """What an error of gRPC says."""
    status = _status(error)
    info, bad, retry, request = (
        _detail(status, kind())
        for kind in (
            details.ErrorInfo,
            details.BadRequest,
            details.RetryInfo,
            details.RequestInfo,
        )
    )
    return Refusal(
        code=error.code().name,
        message=error.details() or "",
        reason=info.reason,
        metadata=dict(info.metadata),
        fields=tuple(violation.field for violation in bad.field_violations),
        retry_after=retry.retry_delay.ToMilliseconds() / 1000 if retry.ByteSize() else None,
        request_id=request.request_id,
        trace_id=request.serving_data.removeprefix("trace_id="),
        korean=tuple(one.localized_message.message for one in bad.field_violations),
    )


def is_contract(found: Refusal) -> bool:
    """Whether a row of the contract says this; a gateway that is away can send no details."""
    if not found.reason:
        return found.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED")
    return found.reason in CONTRACT.get(found.code, ())


def _status(error: grpc.RpcError) -> Status:
    trailing: Any = error.trailing_metadata() or ()
    result = (value for key, value in trailing if key == "grpc-status-details-bin")
    return Status.FromString(next(result, b""))


def _detail(status: Status, kind: Any) -> Any:
    for detail in status.details:
        if detail.Unpack(kind):
            break
    return kind
