"""The public document API: protobuf to the core and back."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rag.gateway.v1 import document_service_pb2 as pb
from rag.gateway.v1.document_service_pb2_grpc import DocumentServiceServicer
from rag.types.v1.document_pb2 import Document
from rag.types.v1.passage_pb2 import Passage
from rag_common import errors
from rag_common.context import Call
from rag_common.rpc.types import Context
from rag_gateway import replies, requests, uploads
from rag_gateway.answer_servicer import caller
from rag_gateway.audit import Event
from rag_gateway.counter import Counter
from rag_gateway.ingestion import Ingested, Ingesting, Outcome, Spec
from rag_gateway.measures import Measures
from rag_gateway.requests import Checks

# As many of the largest documents may be on their way at once, whoever sends them.
_UPLOADS = 4

_OUTCOMES = {
    Outcome.CREATED: pb.INGEST_OUTCOME_CREATED,
    Outcome.REPLACED: pb.INGEST_OUTCOME_REPLACED,
    Outcome.UNCHANGED: pb.INGEST_OUTCOME_UNCHANGED,
}


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

    def __init__(
        self,
        ingesting: Ingesting,
        shelf: Shelf,
        counter: Counter,
        measures: Measures,
        sizes: SizeLimits,
    ) -> None:
        self._ingesting = ingesting
        self._shelf = shelf
        self._counter = counter
        self._measures = measures
        self._sizes = sizes
        self._room = uploads.Room(_UPLOADS * sizes.upload)

    async def IngestDocument(
        self, request: pb.IngestDocumentRequest, context: Context
    ) -> pb.IngestDocumentResponse:
        call, by = caller(request.request_id)
        checks = Checks(request)
        spec = requests.spec(checks, request.collection, request.document)
        checks.done()
        self._counter.opened("IngestDocument", by, [spec.collection])
        uploads.refuse_over(len(request.content), self._sizes.message)

        async def work() -> pb.IngestDocumentResponse:
            done = await self._taken_in(by.tenant, spec, request.content)
            return pb.IngestDocumentResponse(**_ingested(done, call))

        kind = pb.IngestDocumentResponse
        return await self._counter.once("IngestDocument", by, request, work, kind)

    async def UploadDocument(
        self,
        request_iterator: AsyncIterator[pb.UploadDocumentRequest],
        context: Context,
    ) -> pb.UploadDocumentResponse:
        first = await uploads.first(request_iterator)
        header = first.header
        call, by = caller(header.request_id)
        checks = Checks(first)
        spec = requests.spec(checks, header.collection, header.document)
        checks.done()
        self._counter.opened("UploadDocument", by, [spec.collection])
        with self._room.share() as share:
            content = await uploads.content(request_iterator, self._sizes.upload, share)

            async def work() -> pb.UploadDocumentResponse:
                done = await self._taken_in(by.tenant, spec, content)
                return pb.UploadDocumentResponse(**_ingested(done, call))

            kind = pb.UploadDocumentResponse
            return await self._counter.once("UploadDocument", by, header, work, kind, content)

    async def _taken_in(self, tenant: str, spec: Spec, content: bytes) -> Ingested:
        with self._measures.ingesting(len(content)) as tell:
            done = await self._ingesting.ingest(tenant, spec, content)
            tell(done)
        return done

    async def GetDocument(
        self, request: pb.GetDocumentRequest, context: Context
    ) -> pb.GetDocumentResponse:
        _, by = caller("")
        collection, document_id = _key(request)
        self._counter.opened("GetDocument", by, [collection])
        found = await self._shelf.get(by.tenant, collection, document_id)
        if found is None:
            raise errors.NotFound("there is no such document")
        return pb.GetDocumentResponse(document=found)

    async def ListDocuments(
        self, request: pb.ListDocumentsRequest, context: Context
    ) -> pb.ListDocumentsResponse:
        _, by = caller("")
        checks = Checks(request)
        size = requests.page(checks, request.page_size, request.page_token)
        checks.done()
        name = self._counter.opened_one("ListDocuments", by, request.collection)
        found, token = await self._shelf.documents(by.tenant, name, size, request.page_token)
        return pb.ListDocumentsResponse(documents=found, next_page_token=token)

    async def ListPassages(
        self, request: pb.ListPassagesRequest, context: Context
    ) -> pb.ListPassagesResponse:
        _, by = caller("")
        key = _key(request)
        size = requests.page(Checks(request), request.page_size)
        self._counter.opened("ListPassages", by, [key[0]])
        found = await self._shelf.passages(by.tenant, *key, request.first_ordinal, size)
        return pb.ListPassagesResponse(passages=found)

    async def DeleteDocument(
        self, request: pb.DeleteDocumentRequest, context: Context
    ) -> pb.DeleteDocumentResponse:
        _, by = caller("")
        key = _key(request)
        self._counter.opened("DeleteDocument", by, [key[0]])
        with self._counter.doing(Event.DOCUMENT_DELETED, "DeleteDocument", "/".join(key)):
            deleted = await self._shelf.delete(by.tenant, *key)
        return pb.DeleteDocumentResponse(deleted_passages=deleted)


def _ingested(done: Ingested, call: Call) -> dict[str, Any]:
    """The fields that both ways of taking in a document answer with."""
    return {
        "document": done.document,
        "outcome": _OUTCOMES[done.outcome],
        "timings": replies.timings(done.journey.seconds),
        "trace_id": call.trace.trace_id,
    }


def _key(
    request: pb.GetDocumentRequest | pb.ListPassagesRequest | pb.DeleteDocumentRequest,
) -> tuple[str, str]:
    checks = Checks(request)
    key = (
        requests.collection(checks, request.collection),
        requests.document_id(checks, request.document_id),
    )
    checks.done()
    return key
