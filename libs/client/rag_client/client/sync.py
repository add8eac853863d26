"""The client for threads and scripts."""

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

import grpc

from rag.gateway.v1.answer_service_pb2 import GetCapabilitiesRequest
from rag_client import environment
from rag_client.client.access_sync import Access
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
from rag_client.transport.calls import DEFAULT_TIMEOUT, Retries
from rag_client.transport.channel import ClientCertificate, Tls
from rag_client.transport.sync import BlockingCalls, Token


class Client(Access):
    """The gateway's calls as methods; threads may share it.

    `token` is a JWT or an API key, or a function that returns one and is called before each attempt,
    for example a TokenFile or a RenewedToken. `timeout` is the deadline of each call in seconds, retries
    included. A call that fails raises an AppError.

    An omitted argument is read from the environment, as by the command `rag`: RAG_TARGET; RAG_TOKEN or
    RAG_TOKEN_FILE; RAG_CA_FILE; RAG_CERT_FILE with RAG_KEY_FILE; RAG_SERVER_NAME. `environ` replaces the
    environment; {} is an empty one. Raises OSError for a file that cannot be read, and ValueError for an
    invalid file or variable.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        token: Token | None = None,
        tls: Tls = None,
        certificate: ClientCertificate | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        retries: Retries | None = None,
        channel: grpc.Channel | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        bearer: Token = environment.token(token, environ)
        opened_channel = channel or environment.gateway(target, tls, certificate, environ).open()
        self._calls = BlockingCalls(opened_channel, bearer, timeout, retries or Retries())

    @classmethod
    def from_env(cls, **options: Any) -> Self:
        """A client configured by the environment; `options` are the constructor's and take precedence."""
        return cls(**options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cancel the calls in progress and close the connection."""
        self._calls.close()

    def answer(self, query: str, **options: Unpack[AnswerOptions]) -> results.Answer:
        """Answer a question. If the documents do not answer it, `skipped` says why; that is no error."""
        request = requests.answer(query, options)
        return responses.answer(self._calls.unary(methods.ANSWER, request, options))

    def stream_answer(
        self, query: str, **options: Unpack[AnswerOptions]
    ) -> Generator[Event, None, None]:
        """Answer a question as a stream of events; closing the iterator cancels the call."""
        request = requests.stream_answer(query, options)
        replies = self._calls.stream(methods.STREAM_ANSWER, request, options)
        with closing(replies):
            yield from filter(None, map(responses.event, replies))

    def search(self, query: str, **options: Unpack[SearchOptions]) -> results.Found:
        """Search for passages, without an answer."""
        request = requests.search(query, options)
        return responses.search_results(self._calls.unary(methods.SEARCH, request, options))

    def check_grounding(
        self,
        text: str,
        passages: Iterable[results.Passage | str],
        **options: Unpack[CallOptions],
    ) -> results.GroundingCheck:
        """Check each sentence of a text against passages; passages without an id are numbered from 1."""
        request = requests.check_grounding(text, passages)
        return responses.grounding_check(
            self._calls.unary(methods.CHECK_GROUNDING, request, options)
        )

    def capabilities(self, **options: Unpack[CallOptions]) -> results.Capabilities:
        """The deployment's models, media types and limits."""
        request = GetCapabilitiesRequest()
        return responses.capabilities(self._calls.unary(methods.GET_CAPABILITIES, request, options))

    def ingest(self, source: bytes | Path, **options: Unpack[IngestOptions]) -> results.Ingested:
        """Ingest a document: in one message up to 1 MiB, in a stream of chunks above."""
        content, options = read_content(source), requests.with_file_defaults(source, options)
        if content.small is None:
            stream = requests.upload(content.chunks, options)
            uploaded = self._calls.upload(methods.UPLOAD_DOCUMENT, stream, options)
            return responses.ingested(uploaded)
        request = requests.ingest(content.small, options)
        reply = self._calls.unary(methods.INGEST_DOCUMENT, request, options)
        return responses.ingested(reply)

    def get_document(
        self, document_id: str, **options: Unpack[DocumentOptions]
    ) -> results.Document:
        """A document's metadata and sizes, without its text."""
        request = requests.get_document(document_id, options)
        reply = self._calls.unary(methods.GET_DOCUMENT, request, options)
        return responses.document(reply.document)

    def list_documents(self, **options: Unpack[ListOptions]) -> Iterator[results.Document]:
        """All documents, read page by page; the timeout applies to each page."""
        token = ""
        while True:
            request = requests.list_documents(token, options)
            reply = self._calls.unary(methods.LIST_DOCUMENTS, request, options)
            yield from map(responses.document, reply.documents)
            token = reply.next_page_token
            if not token:
                return

    def list_passages(
        self, document_id: str, **options: Unpack[PassageOptions]
    ) -> tuple[results.Passage, ...]:
        """Passages of a document in their order, for example the neighbours of a cited one."""
        request = requests.list_passages(document_id, options)
        reply = self._calls.unary(methods.LIST_PASSAGES, request, options)
        return tuple(map(common.passage, reply.passages))

    def delete_document(self, document_id: str, **options: Unpack[DocumentOptions]) -> int:
        """Delete a document, and return the number of passages that were deleted with it."""
        request = requests.delete_document(document_id, options)
        reply = self._calls.unary(methods.DELETE_DOCUMENT, request, options)
        return reply.deleted_passages
