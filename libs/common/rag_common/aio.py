"""Background work on the event loop: beside a block, periodic, or outliving its request; heartbeats."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import structlog

log = structlog.get_logger()

T = TypeVar("T")

_FAILED = "periodic_task_failed"


@asynccontextmanager
async def background(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run the coroutines beside the block; at its end they are cancelled and awaited.

    One that fails is logged as `background_task_failed`, and neither the block nor the others end.
    """
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    for task in tasks:
        task.add_done_callback(_log_failure)
    try:
        yield
    finally:
        await cancel(*tasks)


async def cancel(*tasks: asyncio.Future[Any]) -> None:
    """Cancel the tasks and wait until they have ended. Their results and errors are dropped."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def periodic(
    work: Callable[[], Awaitable[object]],
    interval: float | Callable[[], float],
    *,
    immediately: bool = False,
    event: str = _FAILED,
) -> AsyncIterator[None]:
    """Run `work` every `interval` seconds beside the block, as `repeat` does."""
    async with background(repeat(work, interval, immediately=immediately, event=event)):
        yield


async def repeat(
    work: Callable[[], Awaitable[object]],
    interval: float | Callable[[], float],
    *,
    immediately: bool = False,
    timeout: float | None = None,
    event: str = _FAILED,
) -> None:
    """Run `work` every `interval` seconds until cancelled, the first time at once if `immediately`.

    A callable interval is evaluated before each pause. A run may take `timeout` seconds; None means no
    limit. A failure is logged as `event`, once until another kind of failure or a success; the next
    run takes place all the same.
    """
    failing = ""
    if not immediately:
        await _pause(interval)
    while True:
        try:
            async with asyncio.timeout(timeout):
                await work()
            failing = ""
        except Exception as error:
            kind = type(error).__name__
            if kind != failing:
                log.warning(event, task=_name(work), error=kind)
            failing = kind
        await _pause(interval)


class BackgroundTasks:
    """Work that outlives the cancelled request that started it, for example releasing a reservation.

    What fails in it is reported by the event loop and fails no call.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for the work, which continues if the caller is cancelled."""
        await asyncio.wait({self._start(work)})

    async def acquire(
        self, work: Coroutine[Any, Any, T], undo: Callable[[T], Awaitable[None]]
    ) -> T:
        """The result of the work. If the caller is cancelled meanwhile, `undo` gets the result."""
        task = self._start(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._start(_undone(task, undo))
            raise

    async def join(self) -> None:
        """Return when no task is left."""
        while self._running:
            await asyncio.wait(set(self._running))

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task


async def _undone(task: asyncio.Task[T], undo: Callable[[T], Awaitable[None]]) -> None:
    await undo(await task)


async def _pause(interval: float | Callable[[], float]) -> None:
    await asyncio.sleep(interval() if callable(interval) else interval)


async def with_heartbeats(
    events: AsyncIterator[T], seconds: float
) -> AsyncGenerator[T | None, None]:
    """Yield each event, and None after every `seconds` without one. Closing it cancels a pending event."""
    upcoming: asyncio.Future[T] | None = None
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
            await cancel(upcoming)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("background_task_failed", task=_name(task.get_coro()), exc_info=error)


def _name(work: object) -> str:
    return str(getattr(work, "__qualname__", type(work).__qualname__))


def _next(events: AsyncIterator[T]) -> Awaitable[T]:
    return events.__anext__()
