"""The indexes in a folder, on the embedded engine."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

import structlog

from rag_common import tracing
from rag_common.errors import (
    EmbeddingMismatch,
    FailedPrecondition,
    IndexNotFound,
    ReindexRunning,
)
from rag_common.metrics import Metrics
from rag_retriever.adapters.edge import engine, folder
from rag_retriever.adapters.edge.folder import DEFAULT
from rag_retriever.adapters.edge.opened import OpenIndex
from rag_retriever.instruments import Instruments
from rag_retriever.ports import Holdings, Index, IndexInfo, IndexSpec

_T = TypeVar("_T")
_P = ParamSpec("_P")
_RETRY_SECONDS = 300.0

log = structlog.get_logger()


class EdgeCatalog:
    """An async context manager: opens all indexes of the folder, and closes them.

    `background` builds search graphs when enough was written; without it only `optimize` does.
    Unavailable on entering where another process has the folder, or an index cannot be opened.
    """

    def __init__(
        self,
        root: Path,
        *,
        tenant_idf: bool = True,
        background: bool = True,
        instruments: Instruments | None = None,
    ) -> None:
        self._root = root
        self._instruments = instruments or Instruments(Metrics())
        self._tenant_idf = tenant_idf
        self._background = background
        self._open: dict[str, OpenIndex] = {}
        self._default: str | None = None
        self._not_before = 0.0
        self._resources = ExitStack()
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="edge-writer")

    async def __aenter__(self) -> Self:
        try:
            await self._run(self._open_all)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        building = [each.optimizing for each in self._open.values() if each.optimizing]
        for task in building:
            task.cancel()
        await asyncio.gather(*building, return_exceptions=True)
        await self._run(self._close_all)
        self._writer.shutdown()

    async def create(self, spec: IndexSpec) -> IndexInfo:
        await self._run(self._create, spec)
        return await self.describe(spec.name)

    async def open(self, name: str) -> Index:
        return self._find(name).index

    async def describe(self, name: str) -> IndexInfo:
        return self._info(self._find(name))

    async def list(self) -> list[IndexInfo]:
        return [self._info(self._open[name]) for name in sorted(self._open)]

    async def holdings(self, name: str) -> Holdings:
        return await self._find(name).holdings()

    async def drift(self, name: str) -> int | None:
        return await self._find(name).drift()

    async def optimize(self, name: str) -> IndexInfo:
        """Goes on also where the caller does not wait for it."""
        index = self._find(name)
        if index.optimizing is not None:
            raise ReindexRunning("the search graph of this index is being built already")
        await asyncio.shield(self._optimizing(index))
        return self._info(index)

    async def switch(self, name: str) -> IndexInfo:
        index = self._find(name)
        await self._run(self._switch, index.index.spec.name)
        return self._info(index)

    async def drop(self, name: str) -> None:
        index = self._find(name)
        if index.index.spec.name == self._default:
            raise FailedPrecondition("`default` means this index; switch it to another one first")
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
        result = await self._run(change, *args, **kwargs)
        if self._background:
            self._optimize_what_is_due()
        return result

    def _optimize_what_is_due(self) -> None:
        now = asyncio.get_running_loop().time()
        for index in self._open.values():
            if index.due and index.optimizing is None and now >= self._not_before:
                self._optimizing(index)

    def _optimizing(self, index: OpenIndex) -> asyncio.Task[None]:
        task = asyncio.create_task(self._observed(index))
        index.optimizing = task
        task.add_done_callback(lambda done: self._optimized(index, done))
        return task

    async def _observed(self, index: OpenIndex) -> None:
        """Optimise in a trace of its own: whoever's write made it due is not who waits for it."""
        began, outcome = monotonic(), "failed"
        facts = {"db.system.name": "qdrant", "db.collection.name": index.index.spec.name}
        with tracing.root("optimize", facts) as span:
            try:
                span.set("rag.points", index.info(is_default=False).points)
                await index.optimize()
                outcome = "ok"
            except asyncio.CancelledError:
                outcome = "cancelled"
                raise
            finally:
                self._instruments.optimize_seconds.labels(outcome).observe(monotonic() - began)

    def _optimized(self, index: OpenIndex, task: asyncio.Task[None]) -> None:
        index.optimizing = None
        name = index.index.spec.name
        if task.cancelled():
            return
        if error := task.exception():
            self._not_before = task.get_loop().time() + _RETRY_SECONDS
            log.warning("optimize_failed", index=name, exc_info=error)
        else:
            log.info("optimized", index=name)

    def _open_all(self) -> None:
        self._resources.enter_context(folder.locked(self._root))
        for name in folder.names(self._root):
            self._open[name] = self._opened(self._root / name)
        self._default = folder.default(self._root)

    def _close_all(self) -> None:
        with self._resources:
            while self._open:
                self._open.popitem()[1].close()

    def _opened(self, home: Path) -> OpenIndex:
        return OpenIndex(home, self._write, self._tenant_idf)

    def _create(self, spec: IndexSpec) -> None:
        if known := self._open.get(spec.name):
            if known.index.spec != spec:
                raise EmbeddingMismatch("an index of that name is there, for other vectors")
            return
        folder.checked(spec.name)
        draft, description = folder.begin(self._root, spec)
        engine.create(draft / description.shard, spec.dimensions).close()
        self._open[spec.name] = self._opened(folder.finish(draft, spec.name))
        if self._default is None:
            self._switch(spec.name)

    def _switch(self, name: str) -> None:
        folder.set_default(self._root, name)
        self._default = name

    def _find(self, name: str) -> OpenIndex:
        meant = self._default if name in ("", DEFAULT) else name
        index = self._open.get(meant) if meant else None
        if index is None:
            raise IndexNotFound("there is no index of that name")
        return index

    def _info(self, index: OpenIndex) -> IndexInfo:
        return index.info(is_default=index.index.spec.name == self._default)
