"""Calls that an event loop waits for: deadline, token, retries and errors around a channel."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from functools import cached_property
from typing import TypeAlias

import grpc

from rag_client import calls
from rag_client.calls import Attempts, Retries
from rag_client.options import CallOptions
from rag_client.procedures import Procedure, ReplyT, RequestT

AsyncToken: TypeAlias = str | Callable[[], str] | Callable[[], Awaitable[str]]


class AsyncCalls:
    """The three shapes of a call; each raises AppError and nothing of gRPC's.

    `open_channel` is called with the first call, inside the loop that the channel will belong to.
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
        """Ends what is under way, and the connection."""
        if "_channel" in vars(self):
            await self._channel.close()

    async def unary(
        self, procedure: Procedure[RequestT, ReplyT], request: RequestT, options: CallOptions
    ) -> ReplyT:
        """One message for one message; a read is tried again."""
        call = self._channel.unary_unary(
            procedure.path, procedure.request.SerializeToString, procedure.reply.FromString
        )
        attempts = self._attempts(procedure, options)
        while True:
            headers = await self._metadata(options)
            try:
                return await call(request, timeout=attempts.begin(), metadata=headers)
            except grpc.RpcError as error:
                await _wait(attempts, error)

    async def upload(
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
        headers = await self._metadata(options)
        try:
            return await call(parts, timeout=left, metadata=headers)
        except grpc.RpcError as error:
            raise calls.failure(error) from error

    async def stream(
        self, procedure: Procedure[RequestT, ReplyT], request: RequestT, options: CallOptions
    ) -> AsyncGenerator[ReplyT, None]:
        """One message for many; tried again only before the first. Closing it cancels the call."""
        call = self._channel.unary_stream(
            procedure.path, procedure.request.SerializeToString, procedure.reply.FromString
        )
        attempts = self._attempts(procedure, options)
        begun = False
        while True:
            headers = await self._metadata(options)
            stream = call(request, timeout=attempts.begin(), metadata=headers)
            try:
                async for reply in stream:
                    begun = True
                    yield reply
                return
            except grpc.RpcError as error:
                if begun:
                    raise calls.failure(error) from error
                await _wait(attempts, error)
            finally:
                stream.cancel()

    def _attempts(self, procedure: Procedure[RequestT, ReplyT], options: CallOptions) -> Attempts:
        return calls.attempts(procedure.read, self._retries, self._timeout, options)

    async def _metadata(self, options: CallOptions) -> calls.Metadata:
        token = self._token() if callable(self._token) else self._token
        return calls.metadata(await token if inspect.isawaitable(token) else token, options)

    @cached_property
    def _channel(self) -> grpc.aio.Channel:
        return self._open_channel()


async def _wait(attempts: Attempts, error: grpc.RpcError) -> None:
    wait = attempts.wait(error)
    if wait is None:
        raise calls.failure(error) from error
    await asyncio.sleep(wait)
