"""The client for asyncio."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

import grpc

from rag.gateway.v1.answer_service_pb2 import GetCapabilitiesRequest
from rag_client import environment
from rag_client.client.access_aio import AsyncAccess
from rag_client.convert import common, requests, responses
from rag_client.files import read_content
from rag_client.models import results
from rag_client.models.events import Event
from rag_client.models.options import (
    AnswerOptions,
    CallOptions,
    DocumentOptions,
    IngestOptions,
    ListOptions,
    PassageOptions,
    SearchOptions,
)
from rag_client.transport import methods
from rag_client.transport.aio import AsyncCalls, AsyncToken
from rag_client.transport.calls import DEFAULT_TIMEOUT, Retries
from rag_client.transport.channel import ClientCertificate, Tls


class AsyncClient(AsyncAccess):
    """The gateway's calls as methods, for one event loop.

    `token` is a JWT or an API key, or a function (plain or async) that returns one and is called before
    each attempt, for example a TokenFile or an AsyncRenewedToken. `timeout` is the deadline of each call
    in seconds, retries included. A call that fails raises an AppError.

    An omitted argument is read from the environment, as by the command `rag`: RAG_TARGET; RAG_TOKEN or
    RAG_TOKEN_FILE; RAG_CA_FILE; RAG_CERT_FILE with RAG_KEY_FILE; RAG_SERVER_NAME. `environ` replaces the
    environment; {} is an empty one. Raises OSError for a file that cannot be read, and ValueError for an
    invalid file or variable.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        token: AsyncToken | None = None,
        tls: Tls = None,
        certificate: ClientCertificate | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        retries: Retries | None = None,
        channel: grpc.aio.Channel | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        bearer: AsyncToken = environment.token(token, environ)
        open_channel = (
            (lambda: channel)
            if channel
            else environment.gateway(target, tls, certificate, environ).open_async
        )
        self._calls = AsyncCalls(open_channel, bearer, timeout, retries or Retries())

    @classmethod
    def from_env(cls, **options: Any) -> Self:
        """A client configured by the environment; `options` are the constructor's and take precedence."""
        return cls(**options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Cancel the calls in progress and close the connection."""
        await self._calls.close()

    async def answer(self, query: str, **options: Unpack[AnswerOptions]) -> results.Answer:
        """Answer a question. If the documents do not answer it, `skipped` says why; that is no error."""
        request = requests.answer(query, options)
        return responses.answer(await self._calls.unary(methods.ANSWER, request, options))

    async def stream_answer(
        self, query: str, **options: Unpack[AnswerOptions]
    ) -> AsyncGenerator[Event, None]:
        """Answer a question as a stream of events; closing the iterator cancels the call."""
        request = requests.stream_answer(query, options)
        replies = self._calls.stream(methods.STREAM_ANSWER, request, options)
        async with aclosing(replies):
            async for reply in replies:
                if event := responses.event(reply):
                    yield event

    async def search(self, query: str, **options: Unpack[SearchOptions]) -> results.Found:
        """Search for passages, without an answer."""
        request = requests.search(query, options)
        return responses.search_results(await self._calls.unary(methods.SEARCH, request, options))

    async def check_grounding(
        self,
        text: str,
        passages: Iterable[results.Passage | str],
        **options: Unpack[CallOptions],
    ) -> results.GroundingCheck:
        """Check each sentence of a text against passages; passages without an id are numbered from 1."""
        request = requests.check_grounding(text, passages)
        return responses.grounding_check(
            await self._calls.unary(methods.CHECK_GROUNDING, request, options)
        )

    async def capabilities(self, **options: Unpack[CallOptions]) -> results.Capabilities:
        """The deployment's models, media types and limits."""
        request = GetCapabilitiesRequest()
        return responses.capabilities(
            await self._calls.unary(methods.GET_CAPABILITIES, request, options)
        )

    async def ingest(
        self, source: bytes | Path, **options: Unpack[IngestOptions]
    ) -> results.Ingested:
        """Ingest a document: in one message up to 1 MiB, in a stream of chunks above."""
        content, options = read_content(source), requests.with_file_defaults(source, options)
        if content.small is None:
            stream = requests.upload(content.chunks, options)
            uploaded = await self._calls.upload(methods.UPLOAD_DOCUMENT, stream, options)
            return responses.ingested(uploaded)
        request = requests.ingest(content.small, options)
        reply = await self._calls.unary(methods.INGEST_DOCUMENT, request, options)
        return responses.ingested(reply)

    async def get_document(
        self, document_id: str, **options: Unpack[DocumentOptions]
    ) -> results.Document:
        """A document's metadata and sizes, without its text."""
        request = requests.get_document(document_id, options)
        reply = await self._calls.unary(methods.GET_DOCUMENT, request, options)
        return responses.document(reply.document)

    async def list_documents(
        self, **options: Unpack[ListOptions]
    ) -> AsyncIterator[results.Document]:
        """All documents, read page by page; the timeout applies to each page."""
        token = ""
        while True:
            request = requests.list_documents(token, options)
            reply = await self._calls.unary(methods.LIST_DOCUMENTS, request, options)
            for document in map(responses.document, reply.documents):
                yield document
            token = reply.next_page_token
            if not token:
                return

    async def list_passages(
        self, document_id: str, **options: Unpack[PassageOptions]
    ) -> tuple[results.Passage, ...]:
        """Passages of a document in their order, for example the neighbours of a cited one."""
        request = requests.list_passages(document_id, options)
        reply = await self._calls.unary(methods.LIST_PASSAGES, request, options)
        return tuple(map(common.passage, reply.passages))

    async def delete_document(self, document_id: str, **options: Unpack[DocumentOptions]) -> int:
        """Delete a document, and return the number of passages that were deleted with it."""
        request = requests.delete_document(document_id, options)
        reply = await self._calls.unary(methods.DELETE_DOCUMENT, request, options)
        return reply.deleted_passages
