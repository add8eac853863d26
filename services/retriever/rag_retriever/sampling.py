"""Looks at the indexes and at the backup from time to time, so that whoever fetches metrics costs nothing."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog

from rag_retriever.instruments import Instruments
from rag_retriever.ports import Catalog, IndexState

log = structlog.get_logger()

_SIZES_SECONDS, _DRIFT_SECONDS = 15.0, 60.0
# Comparing a million documents with their chunks takes a minute: it pauses for the others' work.
_MOST_SECONDS = 600.0
# More indexes than these have no gauges.
_MOST_INDEXES = 32


class Sampler:
    """Sets the gauges of a catalog's indexes, by name; those of an index that is gone vanish."""

    def __init__(self, catalog: Catalog, instruments: Instruments) -> None:
        self._catalog = catalog
        self._instruments = instruments
        self._seen: set[str] = set()

    async def sizes(self) -> None:
        """Look at what each index holds."""
        infos = (await self._catalog.list())[:_MOST_INDEXES]
        self._forget(self._seen - {info.spec.name for info in infos})
        for info in infos:
            name, gauges = info.spec.name, self._instruments
            held = await self._catalog.holdings(name)
            self._seen.add(name)
            gauges.index_documents.labels(name).set(held.documents)
            gauges.index_chunks.labels(name).set(held.chunks)
            gauges.index_unoptimized.labels(name).set(held.unoptimized)
            gauges.index_optimizing.labels(name).set(info.state is IndexState.OPTIMIZING)
            if held.bytes is not None:
                gauges.index_bytes.labels(name).set(held.bytes)

    async def drifts(self) -> None:
        """Compare each index's chunks with its documents; one that is written to keeps its value."""
        for info in (await self._catalog.list())[:_MOST_INDEXES]:
            found = await self._catalog.drift(info.spec.name)
            if found is not None:
                self._seen.add(info.spec.name)
                self._instruments.index_drift.labels(info.spec.name).set(found)

    def _forget(self, names: set[str]) -> None:
        gauges = self._instruments
        for name in names:
            for gauge in (
                gauges.index_documents,
                gauges.index_chunks,
                gauges.index_bytes,
                gauges.index_unoptimized,
                gauges.index_optimizing,
                gauges.index_drift,
            ):
                gauge.remove_by_labels({"index": name})
        self._seen -= names


class Stamp:
    """The file that a backup job touches."""

    def __init__(self, path: Path, instruments: Instruments) -> None:
        self._path = path
        self._touched = math.nan
        instruments.backup_age.set_function(self._age)

    async def look(self) -> None:
        """Note when it was touched."""
        self._touched = await asyncio.to_thread(self._modified)

    def _age(self) -> float:
        """Seconds; infinite where the file is not there, NaN before the first look."""
        return time.time() - self._touched

    def _modified(self) -> float:
        try:
            return self._path.stat().st_mtime
        except OSError:
            return -math.inf


@asynccontextmanager
async def sampled(
    catalog: Catalog, instruments: Instruments, stamp: Path | None
) -> AsyncIterator[None]:
    """Look again and again while the block runs; what fails is logged, and tried at the next turn."""
    sampler = Sampler(catalog, instruments)
    works: list[tuple[Callable[[], Coroutine[Any, Any, None]], float]] = [
        (sampler.sizes, _SIZES_SECONDS),
        (sampler.drifts, _DRIFT_SECONDS),
    ]
    if stamp:
        works.append((Stamp(stamp, instruments).look, _SIZES_SECONDS))
    tasks = [asyncio.create_task(_repeat(work, seconds)) for work, seconds in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _repeat(work: Callable[[], Coroutine[Any, Any, None]], seconds: float) -> None:
    failing = ""
    while True:
        try:
            async with asyncio.timeout(_MOST_SECONDS):
                await work()
            failing = ""
        except Exception as error:
            name = type(error).__name__
            if name != failing:
                log.warning("sample_failed", sample=work.__name__, error=name)
            failing = name
        await asyncio.sleep(seconds)
