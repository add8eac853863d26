"""The header of a stream of requests, each of which has one `part`."""

from collections.abc import AsyncIterator
from typing import Any

from rag_contract import errors


async def read_header(messages: AsyncIterator[Any]) -> Any:
    """The header, which is the first message. Raises InvalidArgument."""
    first = await anext(messages, None)
    if first is None or first.WhichOneof("part") != "header":
        raise errors.FieldInvalid.of("header", "must be in the first message")
    return first.header
