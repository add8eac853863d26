"""An open index and its blue/green optimisation: a separate process builds the graph on a copy."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import ParamSpec, TypeVar

from rag_contract.errors import DependencyDown
from rag_retriever.engines.edge import engine, layout, stats
from rag_retriever.engines.edge.index import EdgeIndex, WriterThread
from rag_retriever.engines.edge.layout import copy_shard
from rag_retriever.engines.edge.options import OptimizerOptions
from rag_retriever.engines.edge.shard import Shard, Successor
from rag_retriever.engines.edge.write_log import WriteLog
from rag_retriever.engines.edge.writer import Writer
from rag_retriever.index.ports import IndexInfo, IndexState, IndexStats

_T = TypeVar("_T")
_P = ParamSpec("_P")
_BUILD = "rag_retriever.engines.edge.graph_build"


class OpenIndex:
    """The components of one index, which are opened, optimised and closed together.

    `optimizing` is the task of the running build, None if there is none. `failures` counts consecutive
    failed builds; the next one does not start before the event loop's time `retry_at`.
    """

    def __init__(self, directory: Path, write: WriterThread, options: OptimizerOptions) -> None:
        """Must be called in the writer thread: completes or removes what a crash left unfinished."""
        self._directory = directory
        self._options = options
        self._description = layout.load(directory)
        self._write = write
        layout.remove_stale_shards(directory, self._description)
        self._shard = _load_shard(directory, self._description)
        self._writer = Writer(self._shard, self._description.dimensions)
        self._writer.recover()
        spec = self._description.spec(directory.name)
        self.index = EdgeIndex(spec, self._shard, self._writer, self._write_counted)
        self.optimizing: asyncio.Task[None] | None = None
        self.failures = 0
        self.retry_at = 0.0

    @property
    def due(self) -> bool:
        """Whether enough points were written since the last build that another is due."""
        return self._options.due(self._shard.changed, self._description.optimized)

    @property
    def unoptimized(self) -> int:
        """The number of points written since the search graph was built."""
        return self._shard.changed

    def info(self, is_default: bool) -> IndexInfo:
        return IndexInfo(
            spec=self.index.spec,
            points=self._shard.points,
            state=self._state(),
            is_default=is_default,
            engine="edge",
            created=datetime.fromisoformat(self._description.created),
        )

    async def stats(self) -> IndexStats:
        """Runs in a thread, because it reads file sizes."""
        return await asyncio.to_thread(stats.collect_stats, self._shard, self._directory)

    async def drift(self) -> int | None:
        return await stats.drift(self._shard)

    def close(self) -> None:
        try:
            self._save_changed(at_least=1)
        finally:
            self._shard.close()

    def remove(self) -> None:
        self._shard.close()
        layout.remove(self._directory)

    async def optimize(self) -> None:
        """Copy the shard, build its graph, apply the writes made since, and swap the shards.

        The old shard serves all calls until then. Raises Unavailable if the build fails, or if the
        write log overflowed in each of `options.rounds` attempts.
        """
        for _ in range(self._options.rounds):
            if await self._try_optimize():
                return
        raise DependencyDown(
            "too many writes while the search graph was being built", retry_after=60
        )

    async def _try_optimize(self) -> bool:
        target = self._directory / layout.new_shard()
        try:
            write_log = await self._write(self._copy, target)
            async with _build_timeout(self._options.build_seconds):
                await _run_build(target, sorted(self._writer.pending_range_fields))
            return await self._catch_up_and_swap(target, write_log)
        finally:
            await asyncio.shield(self._write(self._tidy))

    async def _catch_up_and_swap(self, target: Path, write_log: WriteLog) -> bool:
        """Copy the logged writes in steps, between which other writes run, then swap; whether it swapped."""
        successor = await self._write(self._successor, target, write_log)
        swapped = False
        try:
            while not (swapped or write_log.full):
                swapped = await self._write(self._step, successor, target)
        finally:
            await asyncio.shield(self._write(self._close_unused, successor))
        return swapped

    def _state(self) -> IndexState:
        if self.optimizing is not None:
            return IndexState.OPTIMIZING
        return IndexState.UNOPTIMIZED if self.due else IndexState.READY

    def _copy(self, target: Path) -> WriteLog:
        # No write runs meanwhile; unflushed data is in the write-ahead log, which is copied too.
        with engine.translate_errors():
            copy_shard(self._directory / self._description.shard, target)
        return self._shard.start_write_log(self._options.write_log_points)

    def _successor(self, target: Path, write_log: WriteLog) -> Successor:
        return Successor(engine.load(target), self._shard, write_log)

    def _step(self, successor: Successor, target: Path) -> bool:
        """Copy some of the logged points, and swap after the last of them; whether it swapped."""
        if not successor.catch_up():
            return False
        description = replace(
            self._description,
            shard=target.name,
            optimized=successor.optimized,
            changed=successor.added,
        )
        self._shard.replace_with(successor, lambda: layout.save(self._directory, description))
        self._description = description
        self._writer.reload_range_fields()
        return True

    def _close_unused(self, successor: Successor) -> None:
        if not self._shard.uses(successor):
            with engine.translate_errors():
                successor.engine.close()

    def _tidy(self) -> None:
        self._shard.stop_write_log()
        layout.remove_stale_shards(self._directory, self._description)

    async def _write_counted(
        self, change: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """Run a change in the writer thread, and save the number of written points from time to time."""

        def run() -> _T:
            try:
                return change(*args, **kwargs)
            finally:
                self._save_changed(at_least=self._options.saved_points)

        return await self._write(run)

    def _save_changed(self, at_least: int) -> None:
        if self._shard.changed - self._description.changed < at_least:
            return
        description = replace(self._description, changed=self._shard.changed)
        # For example a full disk: the write itself is logged, and this number can be saved later.
        with suppress(OSError):
            layout.save(self._directory, description)
            self._description = description


def _load_shard(directory: Path, description: layout.Description) -> Shard:
    """Load the current shard; at least the points outside the graph count as changed."""
    loaded = engine.load(directory / description.shard)
    outside = loaded.info().points_count - description.optimized
    return Shard(loaded, max(description.changed, outside, 0))


@asynccontextmanager
async def _build_timeout(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise DependencyDown("building the search graph timed out") from error


async def _run_build(path: Path, ranges: Sequence[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", _BUILD, str(path), *ranges, env=environment
    )
    try:
        if await process.wait() != 0:
            raise DependencyDown("building the search graph failed; the index works without it")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
