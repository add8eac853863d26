"""Work that is seen through though its caller is gone: what was taken is given back in any case."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class Errands:
    """Runs what must not be cut short. What fails in it is reported by the loop and fails no call."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def finish(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for the work, which goes on where the one who waits is cancelled."""
        await asyncio.wait({self._start(work)})

    async def obtain(self, work: Coroutine[Any, Any, T], undo: Callable[[T], Awaitable[None]]) -> T:
        """What the work gives. It is undone where the one who waits is cancelled meanwhile."""
        task = self._start(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._start(_undone(task, undo))
            raise

    async def done(self) -> None:
        """Return when nothing is left to do."""
        while self._running:
            await asyncio.wait(set(self._running))

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task


@asynccontextmanager
async def repeated(work: Callable[[], Awaitable[None]], seconds: float) -> AsyncIterator[None]:
    """Do the work every so many seconds while inside."""
    task = asyncio.create_task(_forever(work, seconds))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _forever(work: Callable[[], Awaitable[None]], seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        await work()


async def _undone(task: asyncio.Task[T], undo: Callable[[T], Awaitable[None]]) -> None:
    await undo(await task)
