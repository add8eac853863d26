"""Builds search graphs in the background when they are due."""

import asyncio
from collections.abc import Callable, Collection

from rag_common.aio import cancel
from rag_retriever.engines.edge.open_index import OpenIndex


class BackgroundOptimizer:
    """A task that builds one graph at a time: of those due, the one with the fewest consecutive failures,
    then the one with the most unoptimised points.

    It waits for a write that makes a graph due, or for the time of the next retry. So a bulk import
    results in a graph even if nothing is written afterwards.
    """

    def __init__(
        self,
        indexes: Callable[[], Collection[OpenIndex]],
        start: Callable[[OpenIndex], asyncio.Task[None]],
    ) -> None:
        """`indexes` returns the open indexes, `start` starts building the graph of one."""
        self._indexes = indexes
        self._start = start
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start the task; indexes that are already due, for example after a restart, are built at once."""
        self._task = asyncio.create_task(self._run())

    def notify(self) -> None:
        """Signal that an index may have become due or that a build has ended."""
        self._changed.set()

    async def end(self) -> None:
        """Stop the task; a running build is left to its owner."""
        if self._task is not None:
            await cancel(self._task)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            due = [one for one in self._indexes() if one.due and one.optimizing is None]
            ready = [one for one in due if one.retry_at <= loop.time()]
            if ready:
                next_index = max(ready, key=lambda one: (-one.failures, one.unoptimized))
                await asyncio.wait([self._start(next_index)])
                continue
            retry_at = min((one.retry_at for one in due), default=None)
            await self._wait(None if retry_at is None else retry_at - loop.time())

    async def _wait(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return
