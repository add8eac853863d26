"""Asynchronous calls over a channel, with deadline, token, retries and errors."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from functools import cached_property
from typing import TypeAlias

import grpc

from rag_client.models.options import CallOptions
from rag_client.transport import calls
from rag_client.transport.calls import Attempts, Retries
from rag_client.transport.methods import Procedure, ReplyT, RequestT
from rag_contract import request_streams

AsyncToken: TypeAlias = str | Callable[[], str] | Callable[[], Awaitable[str]]


class AsyncCalls:
    """Unary, upload and stream calls; each raises AppError and no error of gRPC.

    `open_channel` is called at the first call, inside the event loop that owns the channel.
    """

    def __init__(
        self,
        open_channel: Callable[[], grpc.aio.Channel],
        token: AsyncToken | None,
        timeout: float,
        retries: Retries,
    ) -> None:
        self._open_channel = open_channel
        self._token = token
        self._timeout = timeout
        self._retries = retries

    async def close(self) -> None:
        """Cancel the calls in progress and close the connection."""
        if "_channel" in vars(self):
            await self._channel.close()

    async def unary(
        self, procedure: Procedure[RequestT, ReplyT], request: RequestT, options: CallOptions
    ) -> ReplyT:
        """One request, one reply; a read is retried."""
        call = procedure.bind(self._channel.unary_unary)
        attempts = self._attempts(procedure, options)
        while True:
            headers = await self._metadata(options)
            try:
                reply: ReplyT = await call(request, timeout=attempts.start(), metadata=headers)
                return reply
            except grpc.RpcError as error:
                await self._wait(attempts, error)

    async def upload(
        self,
        procedure: Procedure[RequestT, ReplyT],
        parts: Iterator[RequestT],
        options: CallOptions,
    ) -> ReplyT:
        """Many requests, one reply; never retried."""
        call = procedure.bind(self._channel.stream_unary)
        timeout = self._attempts(procedure, options).start()
        headers = await self._metadata(options)
        try:
            upload = call(timeout=timeout, metadata=headers)
            reply: ReplyT = await request_streams.upload(upload, parts)
            return reply
        except grpc.RpcError as error:
            raise calls.app_error(error, self._token) from error

    async def stream(
        self, procedure: Procedure[RequestT, ReplyT], request: RequestT, options: CallOptions
    ) -> AsyncGenerator[ReplyT, None]:
        """One request, many replies; retried before the first reply only. Closing it cancels the call."""
        call = procedure.bind(self._channel.unary_stream)
        attempts = self._attempts(procedure, options)
        started = False
        while True:
            headers = await self._metadata(options)
            stream = call(request, timeout=attempts.start(), metadata=headers)
            try:
                async for reply in stream:
                    started = True
                    yield reply
                return
            except grpc.RpcError as error:
                if started:
                    raise calls.app_error(error, self._token) from error
                await self._wait(attempts, error)
            finally:
                stream.cancel()

    def _attempts(self, procedure: Procedure[RequestT, ReplyT], options: CallOptions) -> Attempts:
        return calls.attempts(procedure.read, self._retries, self._timeout, options)

    async def _metadata(self, options: CallOptions) -> calls.Metadata:
        token = self._token() if callable(self._token) else self._token
        return calls.metadata(await token if inspect.isawaitable(token) else token, options)

    async def _wait(self, attempts: Attempts, error: grpc.RpcError) -> None:
        """Wait until the next attempt. Raises the error if there is none."""
        wait = attempts.wait(error)
        if wait is None:
            raise calls.app_error(error, self._token) from error
        await asyncio.sleep(wait)

    @cached_property
    def _channel(self) -> grpc.aio.Channel:
        return self._open_channel()
