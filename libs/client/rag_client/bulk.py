"""Much work at once, no more of it than the gateway can take."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from rag_common.errors import Overloaded, ResourceExhausted

T = TypeVar("T")
R = TypeVar("R")

_VISITS = 5


async def spread(
    items: Iterable[T],
    work: Callable[[T], Awaitable[R]],
    width: int,
    done: Callable[[], None] = lambda: None,
) -> list[R]:
    """What `work` makes of each item, in their order; at most `width` at a time.

    The first failure ends the rest, and is raised as it is.
    """
    waiting = enumerate(items)
    made: dict[int, R] = {}

    async def take() -> None:
        for index, item in waiting:
            made[index] = await work(item)
            done()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(width):
                group.create_task(take())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [made[index] for index in sorted(made)]


async def paced(call: Callable[[], Awaitable[R]]) -> R:
    """The call's reply; where a full gateway names a time to come back, it is kept, up to 5 times.

    The client itself never repeats such a call: only work in bulk has all the time there is.
    """
    for _ in range(_VISITS - 1):
        try:
            return await call()
        except (ResourceExhausted, Overloaded) as refusal:
            if refusal.retry_after is None:
                raise
            await asyncio.sleep(refusal.retry_after)
    return await call()
