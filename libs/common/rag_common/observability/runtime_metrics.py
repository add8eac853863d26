"""Runtime metrics of the process: event loop lag, garbage collection pauses, threads."""

import asyncio
import gc
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from rag_common.aio import background
from rag_common.observability.metrics import Metrics

_INTERVAL_SECONDS = 0.25
_MAX_PAUSES = 10_000


@asynccontextmanager
async def measure_process(metrics: Metrics) -> AsyncIterator[None]:
    """Measure this process and its running event loop inside the block."""
    metrics.threads.set_function(threading.active_count)
    pauses = _GcPauses()
    gc.callbacks.append(pauses)
    try:
        async with background(_watch(metrics, pauses)):
            yield
    finally:
        gc.callbacks.remove(pauses)


async def _watch(metrics: Metrics, pauses: "_GcPauses") -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _INTERVAL_SECONDS
        await asyncio.sleep(_INTERVAL_SECONDS)
        metrics.loop_lag.observe(max(0.0, loop.time() - due))
        for generation, seconds in pauses.drain():
            metrics.gc_pauses.labels(generation).observe(seconds)


class _GcPauses:
    """A callback of the garbage collector, which may run in the middle of any code.

    So it acquires no lock: it queues the pauses, which are counted later.
    """

    def __init__(self) -> None:
        self._began = 0.0
        self._pauses: deque[tuple[str, float]] = deque(maxlen=_MAX_PAUSES)

    def __call__(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self._pauses.append((str(info["generation"]), time.perf_counter() - self._began))

    def drain(self) -> Iterator[tuple[str, float]]:
        """Remove and yield the queued pauses: generation and seconds."""
        while self._pauses:
            yield self._pauses.popleft()
