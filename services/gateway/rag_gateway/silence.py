"""Streams that say so when they have nothing to say, which keeps proxies from cutting them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from typing import TypeVar

Item = TypeVar("Item")


async def with_silence(
    events: AsyncIterator[Item], seconds: float
) -> AsyncGenerator[Item | None, None]:
    """The events, and None each time that nothing came for so long. Leaving it closes the events."""
    upcoming: asyncio.Future[Item] | None = None
    try:
        while True:
            upcoming = upcoming or asyncio.ensure_future(_next(events))
            done, _ = await asyncio.wait({upcoming}, timeout=seconds)
            if not done:
                yield None
                continue
            try:
                event = upcoming.result()
            except StopAsyncIteration:
                return
            upcoming = None
            yield event
    finally:
        if upcoming:
            upcoming.cancel()
            await asyncio.gather(upcoming, return_exceptions=True)


def _next(events: AsyncIterator[Item]) -> Awaitable[Item]:
    return events.__anext__()
