"""How the process itself does: how late its event loop is, how long its collector holds everything."""

import asyncio
import gc
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from rag_common.metrics import Metrics

_INTERVAL_SECONDS = 0.25
_MOST_PAUSES = 10_000


@asynccontextmanager
async def measured(metrics: Metrics) -> AsyncIterator[None]:
    """Measure this process, and the event loop that runs here, inside the block."""
    metrics.threads.set_function(threading.active_count)
    pauses = _Pauses()
    gc.callbacks.append(pauses)
    watching = asyncio.create_task(_watch(metrics, pauses))
    try:
        yield
    finally:
        gc.callbacks.remove(pauses)
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(metrics: Metrics, pauses: "_Pauses") -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _INTERVAL_SECONDS
        await asyncio.sleep(_INTERVAL_SECONDS)
        metrics.loop_lag.observe(max(0.0, loop.time() - due))
        for generation, seconds in pauses.taken():
            metrics.gc_pauses.labels(generation).observe(seconds)


class _Pauses:
    """Told by the collector when it begins and ends, which may be in the middle of anything.

    So it takes no lock: what it notes is counted later.
    """

    def __init__(self) -> None:
        self._began = 0.0
        self._noted: deque[tuple[str, float]] = deque(maxlen=_MOST_PAUSES)

    def __call__(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self._noted.append((str(info["generation"]), time.perf_counter() - self._began))

    def taken(self) -> Iterator[tuple[str, float]]:
        """Generation and seconds of what was noted since the last time."""
        while self._noted:
            yield self._noted.popleft()
