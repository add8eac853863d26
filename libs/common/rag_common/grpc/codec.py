"""Decodes and encodes messages inside the handler, so that a malformed one is an error like any other."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from rag_common.grpc.types import Handler
from rag_contract import errors

Codec = Callable[[Any], Any]


def kind(handler: Handler) -> str:
    """The handler's kind in gRPC's terms: unary_unary, unary_stream, stream_unary or stream_stream."""
    return "_".join(
        "stream" if streams else "unary"
        for streams in (handler.request_streaming, handler.response_streaming)
    )


def reader(handler: Handler, max_bytes: int | None = None) -> Codec:
    """Decodes the handler's request, or each message of a stream of them.

    `max_bytes` is the size limit of a message; None is no limit. The decoder raises MessageMalformed,
    MessageTooLarge.
    """
    decode = handler.request_deserializer or _same

    def one(message: bytes) -> Any:
        # Before it is decoded: megabytes of empty submessages would block the event loop for seconds.
        if max_bytes is not None and len(message) > max_bytes:
            raise errors.MessageTooLarge(
                f"the message has over {max_bytes} bytes", metadata={"limit_bytes": str(max_bytes)}
            )
        try:
            return decode(message)
        except Exception as error:
            raise errors.MessageMalformed("a message of the call cannot be decoded") from error

    async def each(messages: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for message in messages:
            yield one(message)

    return each if handler.request_streaming else one


def writer(handler: Handler) -> Codec:
    """Encodes the handler's response, or each message of a stream of them."""
    return handler.response_serializer or _same


def _same(message: Any) -> Any:
    return message
