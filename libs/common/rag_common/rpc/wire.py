"""A handler's behaviour from bytes to bytes, so that an unreadable message is an error like any other."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

from rag_common import errors
from rag_common.rpc.types import Context, Handler

Codec = Callable[[Any], Any]

_READ_OUT_SECONDS = 0.5


def kind(handler: Handler) -> str:
    """The handler's shape as gRPC spells it: unary_unary, unary_stream, stream_unary, stream_stream."""
    return "_".join(
        "stream" if streams else "unary"
        for streams in (handler.request_streaming, handler.response_streaming)
    )


def unary(handler: Handler, most: int | None = None) -> Callable[..., Awaitable[Any]]:
    """The behaviour of a handler with one reply. It raises InvalidArgument for an unreadable message."""
    read, behave, write = _reader(handler, most), getattr(handler, kind(handler)), _writer(handler)

    async def from_bytes(request: Any, context: Context) -> Any:
        return write(await behave(read(request), context))

    return from_bytes


def stream(handler: Handler, most: int | None = None) -> Callable[..., AsyncGenerator[Any, None]]:
    """The same of a handler with a stream of replies."""
    read, behave, write = _reader(handler, most), getattr(handler, kind(handler)), _writer(handler)

    async def from_bytes(request: Any, context: Context) -> AsyncGenerator[Any, None]:
        async with aclosing(behave(read(request), context)) as replies:
            async for reply in replies:
                yield write(reply)

    return from_bytes


async def read_out(request: Any) -> None:
    """Take what a client still streams, for a moment, before its call is refused.

    To a client that is sending, an early end looks like a broken connection: it gets INTERNAL
    instead of the refusal.
    """
    if not isinstance(request, AsyncIterator):
        return
    with suppress(Exception):
        async with asyncio.timeout(_READ_OUT_SECONDS):
            async for _ in request:
                pass


def _reader(handler: Handler, most: int | None) -> Codec:
    decode = handler.request_deserializer or _same

    def one(message: bytes) -> Any:
        # Before it is taken apart: megabytes of empty parts would stop the loop for seconds.
        if most is not None and len(message) > most:
            raise errors.MessageTooLarge(
                f"the message has over {most} bytes", metadata={"limit_bytes": str(most)}
            )
        try:
            return decode(message)
        except Exception as error:
            raise errors.InvalidArgument("a message of the call cannot be read") from error

    async def each(messages: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for message in messages:
            yield one(message)

    return each if handler.request_streaming else one


def _writer(handler: Handler) -> Codec:
    return handler.response_serializer or _same


def _same(message: Any) -> Any:
    return message
