"""Work on the items of a stream, a few at a time, with the results in the items' order."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


async def ahead(
    items: AsyncIterator[Item], work: Callable[[Item], Awaitable[Result]], most: int
) -> AsyncGenerator[Result, None]:
    """Give each result as soon as it and those before it are there, with up to `most` being worked on.

    A result waits for no later item: whoever sends the items may wait for a result before the next.
    Leaving early ends the work. Raises what `items` or `work` raises.
    """
    working: deque[asyncio.Future[Result]] = deque()
    coming: asyncio.Future[list[Item]] | None = asyncio.ensure_future(_next(items))
    try:
        while coming or working:
            room = coming if len(working) < most else None
            awaited: list[asyncio.Future[Any] | None] = [room, *list(working)[:1]]
            await asyncio.wait(filter(None, awaited), return_when=asyncio.FIRST_COMPLETED)
            if room and room.done():
                working.extend(asyncio.ensure_future(work(item)) for item in room.result())
                coming = asyncio.ensure_future(_next(items)) if room.result() else None
            while working and working[0].done():
                yield working.popleft().result()
    finally:
        await _end(filter(None, [*working, coming]))


async def _next(items: AsyncIterator[Item]) -> list[Item]:
    """The next item alone, or nothing at the end."""
    async for item in items:
        return [item]
    return []


async def _end(tasks: Iterable[asyncio.Future[Any]]) -> None:
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
