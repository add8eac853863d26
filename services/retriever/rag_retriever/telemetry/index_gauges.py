"""Updates the gauges of indexes and backup periodically, so that a scrape reads stored values."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from rag_common.aio import background, repeat
from rag_retriever.index.ports import Catalog, IndexState
from rag_retriever.telemetry.metrics import RetrieverMetrics

_STATS_SECONDS, _DRIFT_SECONDS = 15.0, 60.0
# Comparing a million documents with their chunks takes a minute, with pauses for other work.
_UPDATE_TIMEOUT_SECONDS = 600.0
# Only the first indexes by name have gauges, to bound the number of time series.
_MAX_INDEXES = 32


class IndexGauges:
    """Sets the gauges of each index of a catalog; removes those of a dropped index."""

    def __init__(self, catalog: Catalog, metrics: RetrieverMetrics) -> None:
        self._catalog = catalog
        self._metrics = metrics
        self._labelled: set[str] = set()

    async def update_stats(self) -> None:
        """Update the counts and the state of each index."""
        infos = (await self._catalog.list_indexes())[:_MAX_INDEXES]
        self._forget(self._labelled - {info.spec.name for info in infos})
        for info in infos:
            name, gauges = info.spec.name, self._metrics
            stats = await self._catalog.stats(name)
            self._labelled.add(name)
            gauges.index_documents.labels(name).set(stats.documents)
            gauges.index_chunks.labels(name).set(stats.chunks)
            gauges.index_unoptimized.labels(name).set(stats.unoptimized)
            gauges.index_optimizing.labels(name).set(info.state is IndexState.OPTIMIZING)
            gauges.index_due.labels(name).set(info.state is not IndexState.READY)
            if stats.disk_bytes is not None:
                gauges.index_bytes.labels(name).set(stats.disk_bytes)

    async def update_drift(self) -> None:
        """Compare each index's chunks with its documents; keeps the value if it was written to meanwhile."""
        for info in (await self._catalog.list_indexes())[:_MAX_INDEXES]:
            drift = await self._catalog.drift(info.spec.name)
            if drift is not None:
                self._labelled.add(info.spec.name)
                self._metrics.index_drift.labels(info.spec.name).set(drift)

    def _forget(self, names: set[str]) -> None:
        gauges = self._metrics
        for name in names:
            for gauge in (
                gauges.index_documents,
                gauges.index_chunks,
                gauges.index_bytes,
                gauges.index_unoptimized,
                gauges.index_optimizing,
                gauges.index_due,
                gauges.index_drift,
            ):
                gauge.remove_by_labels({"index": name})
        self._labelled -= names


class BackupAge:
    """The age of the newest backup: the modification time of the file that the backup job touches."""

    def __init__(self, path: Path, metrics: RetrieverMetrics) -> None:
        self._path = path
        self._touched = math.nan
        metrics.backup_age.set_function(self._age)

    async def update(self) -> None:
        """Read the file's modification time."""
        self._touched = await asyncio.to_thread(self._modified)

    def _age(self) -> float:
        """Seconds; infinite if the file does not exist, NaN before the first update."""
        return time.time() - self._touched

    def _modified(self) -> float:
        try:
            return self._path.stat().st_mtime
        except OSError:
            return -math.inf


@asynccontextmanager
async def updating_gauges(
    catalog: Catalog, metrics: RetrieverMetrics, stamp: Path | None
) -> AsyncIterator[None]:
    """Update the gauges periodically during the block; `stamp` is the backup job's file, None for none.

    A failed update is logged once per kind of error and retried at the next interval.
    """
    gauges = IndexGauges(catalog, metrics)
    updates: list[tuple[Callable[[], Awaitable[None]], float]] = [
        (gauges.update_stats, _STATS_SECONDS),
        (gauges.update_drift, _DRIFT_SECONDS),
    ]
    if stamp:
        updates.append((BackupAge(stamp, metrics).update, _STATS_SECONDS))
    async with background(*(_repeat(update, seconds) for update, seconds in updates)):
        yield


async def _repeat(update: Callable[[], Awaitable[None]], seconds: float) -> None:
    await repeat(
        update,
        seconds,
        immediately=True,
        timeout=_UPDATE_TIMEOUT_SECONDS,
        event="gauge_update_failed",
    )
