"""Many calls at a time, with bounded concurrency and waits that the gateway requests."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from rag_contract.errors import Overloaded, ResourceExhausted

T = TypeVar("T")
R = TypeVar("R")

_ATTEMPTS = 5


async def map_concurrently(
    items: Iterable[T],
    work: Callable[[T], Awaitable[R]],
    concurrency: int,
    on_done: Callable[[], None] = lambda: None,
) -> list[R]:
    """The results of `work` for each item, in the order of the items; at most `concurrency` at a time.

    `on_done` is called after each item. The first failure cancels the rest and is raised unchanged.
    """
    pending = enumerate(items)
    results: dict[int, R] = {}

    async def worker() -> None:
        for index, item in pending:
            results[index] = await work(item)
            on_done()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(worker())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [results[index] for index in sorted(results)]


async def retry_when_refused(call: Callable[[], Awaitable[R]]) -> R:
    """The call's result; a call that the gateway refuses with a retry delay is repeated after it.

    There are at most 5 attempts. The client itself does not repeat such a call, because it has a
    deadline; work in bulk has none.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return await call()
        except (ResourceExhausted, Overloaded) as refusal:
            if refusal.retry_after is None:
                raise
            await asyncio.sleep(refusal.retry_after)
    return await call()
