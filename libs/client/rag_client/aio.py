"""The client for asyncio."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

import grpc

from rag.gateway.v1.answer_service_pb2 import GetCapabilitiesRequest
from rag_client import parts, procedures, replies, requests, results
from rag_client.access.aio import AsyncAccess
from rag_client.calls import DEFAULT_TIMEOUT, Retries
from rag_client.channel import DEFAULT_TARGET, ClientCertificate, Gateway, Tls
from rag_client.coroutines import AsyncCalls, AsyncToken
from rag_client.events import Event
from rag_client.options import (
    AnswerOptions,
    CallOptions,
    DocumentOptions,
    IngestOptions,
    ListOptions,
    PassageOptions,
    SearchOptions,
)
from rag_client.pieces import content_of


class AsyncClient(AsyncAccess):
    """A gateway's calls as methods; to be used within one event loop.

    `token` is a JWT or an API key, or a function (plain or async) asked for one before each attempt,
    for example a TokenFile or an AsyncRenewedToken. Every call ends within `timeout` seconds, retries
    included, and raises an AppError.
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        token: AsyncToken | None = None,
        tls: Tls = None,
        certificate: ClientCertificate | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        retries: Retries | None = None,
        channel: grpc.aio.Channel | None = None,
    ) -> None:
        gateway = Gateway(target, tls, certificate)
        opened = (lambda: channel) if channel else gateway.open_async
        self._calls = AsyncCalls(opened, token, timeout, retries or Retries())

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
        """Ends the calls that are under way, and the connection."""
        await self._calls.close()

    async def answer(self, query: str, **options: Unpack[AnswerOptions]) -> results.Answer:
        """Answers a question; that the documents do not answer it is no error, see `skipped`."""
        request = requests.answer(query, options)
        return replies.answer(await self._calls.unary(procedures.ANSWER, request, options))

    async def stream_answer(
        self, query: str, **options: Unpack[AnswerOptions]
    ) -> AsyncGenerator[Event, None]:
        """Answers a question as it is found and written; closing the iterator stops the work."""
        request = requests.stream_answer(query, options)
        replied = self._calls.stream(procedures.STREAM_ANSWER, request, options)
        async with aclosing(replied):
            async for reply in replied:
                if event := replies.event(reply):
                    yield event

    async def search(self, query: str, **options: Unpack[SearchOptions]) -> results.Found:
        """Finds passages, without an answer."""
        request = requests.search(query, options)
        return replies.found(await self._calls.unary(procedures.SEARCH, request, options))

    async def check_grounding(
        self,
        text: str,
        passages: Iterable[results.Passage | str],
        **options: Unpack[CallOptions],
    ) -> results.GroundingCheck:
        """Checks a text, sentence by sentence; texts given as passages are numbered from 1."""
        request = requests.check_grounding(text, passages)
        return replies.grounding_check(
            await self._calls.unary(procedures.CHECK_GROUNDING, request, options)
        )

    async def capabilities(self, **options: Unpack[CallOptions]) -> results.Capabilities:
        """Says what the deployment offers."""
        request = GetCapabilitiesRequest()
        return replies.capabilities(
            await self._calls.unary(procedures.GET_CAPABILITIES, request, options)
        )

    async def ingest(
        self, source: bytes | Path, **options: Unpack[IngestOptions]
    ) -> results.Ingested:
        """Takes in a document, in one message up to 1 MiB and in pieces beyond."""
        content, options = content_of(source), requests.named(source, options)
        if content.whole is None:
            stream = requests.upload(content.pieces, options)
            uploaded = await self._calls.upload(procedures.UPLOAD_DOCUMENT, stream, options)
            return replies.ingested(uploaded)
        request = requests.ingest(content.whole, options)
        reply = await self._calls.unary(procedures.INGEST_DOCUMENT, request, options)
        return replies.ingested(reply)

    async def get_document(
        self, document_id: str, **options: Unpack[DocumentOptions]
    ) -> results.Document:
        """Reads what is known of a document."""
        request = requests.get_document(document_id, options)
        reply = await self._calls.unary(procedures.GET_DOCUMENT, request, options)
        return replies.document(reply.document)

    async def list_documents(
        self, **options: Unpack[ListOptions]
    ) -> AsyncIterator[results.Document]:
        """Every document, page after page; the timeout is that of one page."""
        token = ""
        while True:
            request = requests.list_documents(token, options)
            reply = await self._calls.unary(procedures.LIST_DOCUMENTS, request, options)
            for document in map(replies.document, reply.documents):
                yield document
            token = reply.next_page_token
            if not token:
                return

    async def list_passages(
        self, document_id: str, **options: Unpack[PassageOptions]
    ) -> tuple[results.Passage, ...]:
        """A document's passages in their order, for example the neighbours of a cited one."""
        request = requests.list_passages(document_id, options)
        reply = await self._calls.unary(procedures.LIST_PASSAGES, request, options)
        return tuple(map(parts.passage, reply.passages))

    async def delete_document(self, document_id: str, **options: Unpack[DocumentOptions]) -> int:
        """Removes a document; how many passages went with it."""
        request = requests.delete_document(document_id, options)
        reply = await self._calls.unary(procedures.DELETE_DOCUMENT, request, options)
        return reply.deleted_passages
