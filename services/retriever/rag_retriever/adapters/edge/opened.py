"""An open index and its blue/green optimising: the graph is built on a copy, by another process."""

import asyncio
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from rag_common.errors import Unavailable
from rag_retriever.adapters.edge import census, engine, folder
from rag_retriever.adapters.edge.index import EdgeIndex, WriterThread
from rag_retriever.adapters.edge.shard import Journal, Shard
from rag_retriever.adapters.edge.writing import Writer
from rag_retriever.ports import Holdings, IndexInfo, IndexState

_BUILD = "rag_retriever.adapters.edge.build"
_DUE_POINTS = 5_000
_DUE_GROWTH = 0.2


class OpenIndex:
    """The parts of one index; opened, optimised and closed together."""

    def __init__(self, home: Path, write: WriterThread, tenant_idf: bool) -> None:
        """To be called in the writer's thread: a crash's leftovers are finished or removed here."""
        self._home = home
        self._description = folder.load(home)
        self._write = write
        folder.tidy(home, self._description)
        self._shard = Shard(
            engine.load(home / self._description.shard), self._description.optimized
        )
        self._writer = Writer(self._shard, self._description.dimensions)
        self._writer.heal()
        spec = self._description.spec(home.name)
        self.index = EdgeIndex(spec, self._shard, self._writer, write, tenant_idf)
        self.optimizing: asyncio.Task[None] | None = None

    @property
    def due(self) -> bool:
        """Whether so much has been written since the last time that building is worth it."""
        grown = self._shard.changed
        return grown > _DUE_POINTS and grown > _DUE_GROWTH * self._description.optimized

    def info(self, is_default: bool) -> IndexInfo:
        return IndexInfo(
            spec=self.index.spec,
            points=self._shard.points,
            state=self._state(),
            is_default=is_default,
            engine="edge",
            created=datetime.fromisoformat(self._description.created),
        )

    async def holdings(self) -> Holdings:
        """In a thread: the files are asked for their sizes."""
        return await asyncio.to_thread(census.holdings, self._shard, self._home)

    async def drift(self) -> int | None:
        return await census.drift(self._shard)

    def close(self) -> None:
        self._shard.close()

    def remove(self) -> None:
        self._shard.close()
        folder.remove(self._home)

    async def optimize(self) -> None:
        """Copy, build, replay what was written since, swap; until then the old shard answers."""
        target = self._home / folder.new_shard()
        try:
            journal = await self._write(self._copy, target)
            await _built(target, sorted(self._writer.wanted_ranges))
            await self._write(self._swap, target, journal)
        finally:
            await asyncio.shield(self._write(self._tidy))

    def _state(self) -> IndexState:
        if self.optimizing is not None:
            return IndexState.OPTIMIZING
        return IndexState.UNOPTIMIZED if self.due else IndexState.READY

    def _copy(self, target: Path) -> Journal:
        # No write runs meanwhile, and what is not on disk yet is in the log that is copied as well.
        with engine.translated():
            shutil.copytree(self._home / self._description.shard, target)
        return self._shard.begin_journal()

    def _swap(self, target: Path, journal: Journal) -> None:
        successor = engine.load(target)
        indexed = successor.info().points_count
        while journal.replay(successor):
            pass
        if journal.full:
            raise Unavailable(
                "too much was written while the graph was being built", retry_after=60
            )
        description = replace(self._description, shard=target.name, optimized=indexed)
        self._shard.succeed(successor, journal.points, lambda: folder.save(self._home, description))
        self._description = description
        self._writer.know_ranges()

    def _tidy(self) -> None:
        self._shard.end_journal()
        folder.tidy(self._home, self._description)


async def _built(path: Path, ranges: Sequence[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", _BUILD, str(path), *ranges, env=environment
    )
    try:
        if await process.wait() != 0:
            raise Unavailable("building the search graph failed; the index goes on without it")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
