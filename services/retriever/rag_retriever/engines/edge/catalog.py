"""The catalog of the embedded engine: all indexes in one directory."""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import ParamSpec, Self, TypeVar

import structlog

from rag_common.aio import cancel
from rag_common.observability import tracing
from rag_common.observability.metrics import Metrics
from rag_contract.errors import EmbeddingMismatch, IndexIsDefault, IndexNotFound, ReindexRunning
from rag_retriever.engines.edge import engine, layout
from rag_retriever.engines.edge.open_index import OpenIndex
from rag_retriever.engines.edge.optimizer import BackgroundOptimizer
from rag_retriever.engines.edge.options import OptimizerOptions
from rag_retriever.index.names import DEFAULT, require_valid_name
from rag_retriever.index.ports import Index, IndexInfo, IndexSpec, IndexStats
from rag_retriever.telemetry.metrics import RetrieverMetrics

_T = TypeVar("_T")
_P = ParamSpec("_P")
_OPTIONS = OptimizerOptions()

log = structlog.get_logger()


class EdgeCatalog:
    """An async context manager that opens all indexes in the directory and closes them on exit.

    With `background`, search graphs are built automatically when `options` say they are due, and
    failed builds are retried; otherwise only `optimize` builds them.
    Raises Unavailable on entering if another process uses the directory or an index cannot be opened.
    """

    def __init__(
        self,
        root: Path,
        *,
        background: bool = True,
        metrics: RetrieverMetrics | None = None,
        options: OptimizerOptions = _OPTIONS,
    ) -> None:
        self._root = root
        self._metrics = metrics or RetrieverMetrics(Metrics())
        self._options = options
        self._background = (
            BackgroundOptimizer(self._open_indexes, self._start_optimizing) if background else None
        )
        self._open: dict[str, OpenIndex] = {}
        self._default: str | None = None
        self._resources = ExitStack()
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="edge-writer")

    async def __aenter__(self) -> Self:
        try:
            await self._run(self._open_all)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        if self._background:
            self._background.begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._background:
            await self._background.end()
        await cancel(*(each.optimizing for each in self._open.values() if each.optimizing))
        await self._run(self._close_all)
        self._writer.shutdown()

    async def create(self, spec: IndexSpec) -> IndexInfo:
        await self._run(self._create, spec)
        return await self.describe(spec.name)

    async def open(self, name: str, max_age: float = 0.0) -> Index:
        return self._find(name).index

    async def describe(self, name: str) -> IndexInfo:
        return self._info(self._find(name))

    async def list_indexes(self) -> list[IndexInfo]:
        return [self._info(self._open[name]) for name in sorted(self._open)]

    async def stats(self, name: str) -> IndexStats:
        return await self._find(name).stats()

    async def drift(self, name: str) -> int | None:
        return await self._find(name).drift()

    async def optimize(self, name: str) -> IndexInfo:
        """Continues even if the caller is cancelled."""
        index = self._find(name)
        if index.optimizing is not None:
            raise ReindexRunning("the search graph of this index is already being built")
        await asyncio.shield(self._start_optimizing(index))
        return self._info(index)

    async def switch(self, name: str) -> IndexInfo:
        index = self._find(name)
        await self._run(self._switch, index.index.spec.name)
        return self._info(index)

    async def drop(self, name: str) -> None:
        index = self._find(name)
        if index.index.spec.name == self._default:
            raise IndexIsDefault("`default` refers to this index; switch it to another index first")
        if index.optimizing is not None:
            raise ReindexRunning(
                "the search graph of this index is being built; wait until it is done"
            )
        del self._open[index.index.spec.name]
        await self._run(index.remove)

    async def _run(self, change: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, lambda: change(*args, **kwargs))

    async def _write(self, change: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return await self._run(change, *args, **kwargs)
        finally:
            self._notify()

    def _notify(self) -> None:
        if self._background and any(index.due for index in self._open_indexes()):
            self._background.notify()

    def _open_indexes(self) -> Collection[OpenIndex]:
        # A copy, because the writer thread may add an index concurrently.
        return list(self._open.values())

    def _start_optimizing(self, index: OpenIndex) -> asyncio.Task[None]:
        task = asyncio.create_task(self._optimize_traced(index))
        index.optimizing = task
        task.add_done_callback(lambda done: self._on_optimized(index, done))
        return task

    async def _optimize_traced(self, index: OpenIndex) -> None:
        """Optimise in a separate trace: the call whose write made it due does not wait for it."""
        began, outcome = monotonic(), "failed"
        facts = {"db.system.name": "qdrant", "db.collection.name": index.index.spec.name}
        with tracing.root("optimize", facts) as span:
            try:
                span.set_attribute("rag.points", index.info(is_default=False).points)
                await index.optimize()
                outcome = "ok"
            except asyncio.CancelledError:
                outcome = "cancelled"
                raise
            finally:
                self._metrics.optimize_seconds.labels(outcome).observe(monotonic() - began)

    def _on_optimized(self, index: OpenIndex, task: asyncio.Task[None]) -> None:
        index.optimizing = None
        name = index.index.spec.name
        if task.cancelled():
            return
        if error := task.exception():
            index.failures += 1
            seconds = self._options.retry_after(index.failures)
            index.retry_at = task.get_loop().time() + seconds
            log.warning("optimize_failed", index=name, retry_seconds=seconds, exc_info=error)
        else:
            index.failures, index.retry_at = 0, 0.0
            log.info("optimized", index=name, unoptimized=index.unoptimized)
        self._notify()

    def _open_all(self) -> None:
        self._resources.enter_context(layout.lock_directory(self._root))
        for name in layout.index_names(self._root):
            self._open[name] = self._open_index(self._root / name)
        self._default = layout.default_index(self._root)

    def _close_all(self) -> None:
        with self._resources:
            while self._open:
                self._open.popitem()[1].close()

    def _open_index(self, directory: Path) -> OpenIndex:
        return OpenIndex(directory, self._write, self._options)

    def _create(self, spec: IndexSpec) -> None:
        if existing := self._open.get(spec.name):
            if existing.index.spec != spec:
                raise EmbeddingMismatch("an index with this name exists for other vectors")
            return
        require_valid_name(spec.name)
        draft, description = layout.create_draft(self._root, spec)
        engine.create(draft / description.shard, spec.dimensions).close()
        self._open[spec.name] = self._open_index(layout.publish_draft(draft, spec.name))
        if self._default is None:
            self._switch(spec.name)

    def _switch(self, name: str) -> None:
        layout.set_default_index(self._root, name)
        self._default = name

    def _find(self, name: str) -> OpenIndex:
        resolved = self._default if name in ("", DEFAULT) else name
        index = self._open.get(resolved) if resolved else None
        if index is None:
            raise IndexNotFound("index not found")
        return index

    def _info(self, index: OpenIndex) -> IndexInfo:
        return index.info(is_default=index.index.spec.name == self._default)
