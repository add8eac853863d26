"""Calls that block their thread: deadline, token, retries and errors around a channel."""

import time
from collections.abc import Callable, Generator, Iterator
from typing import TypeAlias

import grpc

from rag_client import calls
from rag_client.calls import Attempts, Retries
from rag_client.options import CallOptions
from rag_client.procedures import Procedure, ReplyT, RequestT

Token: TypeAlias = str | Callable[[], str]


class BlockingCalls:
    """The three shapes of a call; each raises AppError and nothing of gRPC's."""

    def __init__(
        self, channel: grpc.Channel, token: Token | None, timeout: float, retries: Retries
    ) -> None:
        self._channel = channel
        self._token = token
        self._timeout = timeout
        self._retries = retries

    def close(self) -> None:
        """Ends what is under way, and the connection."""
        self._channel.close()

    def unary(
        self, procedure: Procedure[RequestT, ReplyT], request: RequestT, options: CallOptions
    ) -> ReplyT:
        """One message for one message; a read is tried again."""
        call = self._channel.unary_unary(
            procedure.path, procedure.request.SerializeToString, procedure.reply.FromString
        )
        attempts = self._attempts(procedure, options)
        while True:
            try:
                left = attempts.begin()
                return call(request, timeout=left, metadata=self._metadata(options))
            except grpc.RpcError as error:
                _wait(attempts, error)

    def upload(
        self,
        procedure: Procedure[RequestT, ReplyT],
        parts: Iterator[RequestT],
        options: CallOptions,
    ) -> ReplyT:
        """Many messages for one; never tried again."""
        call = self._channel.stream_unary(
            procedure.path, procedure.request.SerializeToString, procedure.reply.FromString
        )
        left = self._attempts(procedure, options).begin()
        try:
            return call(parts, timeout=left, metadata=self._metadata(options))
        except grpc.RpcError as error:
            raise calls.failure(error) from error

    def stream(
        self, procedure: Procedure[RequestT, ReplyT], request: RequestT, options: CallOptions
    ) -> Generator[ReplyT, None, None]:
        """One message for many; tried again only before the first. Closing it cancels the call."""
        call = self._channel.unary_stream(
            procedure.path, procedure.request.SerializeToString, procedure.reply.FromString
        )
        attempts = self._attempts(procedure, options)
        begun = False
        while True:
            stream = call(request, timeout=attempts.begin(), metadata=self._metadata(options))
            try:
                for reply in stream:
                    begun = True
                    yield reply
                return
            except grpc.RpcError as error:
                if begun:
                    raise calls.failure(error) from error
                _wait(attempts, error)
            finally:
                stream.cancel()

    def _attempts(self, procedure: Procedure[RequestT, ReplyT], options: CallOptions) -> Attempts:
        return calls.attempts(procedure.read, self._retries, self._timeout, options)

    def _metadata(self, options: CallOptions) -> calls.Metadata:
        token = self._token() if callable(self._token) else self._token
        return calls.metadata(token, options)


def _wait(attempts: Attempts, error: grpc.RpcError) -> None:
    wait = attempts.wait(error)
    if wait is None:
        raise calls.failure(error) from error
    time.sleep(wait)
