"""Blocking calls over a channel, with deadline, token, retries and errors."""

import time
from collections.abc import Callable, Generator, Iterator
from typing import TypeAlias

import grpc

from rag_client.models.options import CallOptions
from rag_client.transport import calls
from rag_client.transport.calls import Attempts, Retries
from rag_client.transport.methods import Procedure, ReplyT, RequestT

Token: TypeAlias = str | Callable[[], str]


class BlockingCalls:
    """Unary, upload and stream calls; each raises AppError and no error of gRPC."""

    def __init__(
        self, channel: grpc.Channel, token: Token | None, timeout: float, retries: Retries
    ) -> None:
        self._channel = channel
        self._token = token
        self._timeout = timeout
        self._retries = retries

    def close(self) -> None:
        """Cancel the calls in progress and close the connection."""
        self._channel.close()

    def unary(
        self, procedure: Procedure[RequestT, ReplyT], request: RequestT, options: CallOptions
    ) -> ReplyT:
        """One request, one reply; a read is retried."""
        call = procedure.bind(self._channel.unary_unary)
        attempts = self._attempts(procedure, options)
        while True:
            try:
                timeout = attempts.start()
                reply: ReplyT = call(request, timeout=timeout, metadata=self._metadata(options))
                return reply
            except grpc.RpcError as error:
                self._wait(attempts, error)

    def upload(
        self,
        procedure: Procedure[RequestT, ReplyT],
        parts: Iterator[RequestT],
        options: CallOptions,
    ) -> ReplyT:
        """Many requests, one reply; never retried."""
        call = procedure.bind(self._channel.stream_unary)
        timeout = self._attempts(procedure, options).start()
        try:
            reply: ReplyT = call(parts, timeout=timeout, metadata=self._metadata(options))
            return reply
        except grpc.RpcError as error:
            raise calls.app_error(error, self._token) from error

    def stream(
        self, procedure: Procedure[RequestT, ReplyT], request: RequestT, options: CallOptions
    ) -> Generator[ReplyT, None, None]:
        """One request, many replies; retried before the first reply only. Closing it cancels the call."""
        call = procedure.bind(self._channel.unary_stream)
        attempts = self._attempts(procedure, options)
        started = False
        while True:
            stream = call(request, timeout=attempts.start(), metadata=self._metadata(options))
            try:
                for reply in stream:
                    started = True
                    yield reply
                return
            except grpc.RpcError as error:
                if started:
                    raise calls.app_error(error, self._token) from error
                self._wait(attempts, error)
            finally:
                stream.cancel()

    def _attempts(self, procedure: Procedure[RequestT, ReplyT], options: CallOptions) -> Attempts:
        return calls.attempts(procedure.read, self._retries, self._timeout, options)

    def _metadata(self, options: CallOptions) -> calls.Metadata:
        token = self._token() if callable(self._token) else self._token
        return calls.metadata(token, options)

    def _wait(self, attempts: Attempts, error: grpc.RpcError) -> None:
        """Wait until the next attempt. Raises the error if there is none."""
        wait = attempts.wait(error)
        if wait is None:
            raise calls.app_error(error, self._token) from error
        time.sleep(wait)
