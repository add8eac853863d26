"""Documents split in worker processes, so that no parser can hurt, block or outlive the service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from types import TracebackType
from typing import Self

import structlog

from rag_common import tracing
from rag_common.errors import Overloaded
from rag_common.metrics import Metrics
from rag_retriever.adapters.frames import read_reply, request
from rag_retriever.adapters.observed import Splitting, observed, worked
from rag_retriever.adapters.process import WorkerEndedError, WorkerProcess, WorkerSettings
from rag_retriever.chunking import ChunkSettings
from rag_retriever.formats import reasons
from rag_retriever.formats.parsed import Limits, refused
from rag_retriever.instruments import Instruments
from rag_retriever.parsing import is_plain
from rag_retriever.splitting import Document, Split, split

__all__ = ["Splitter", "WorkerSettings"]

log = structlog.get_logger()


class Splitter:
    """Splits documents; an async context manager that ends its workers on leaving."""

    def __init__(
        self,
        limits: Limits | None = None,
        chunks: ChunkSettings | None = None,
        settings: WorkerSettings | None = None,
        instruments: Instruments | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._chunks = chunks or ChunkSettings()
        self._settings = settings or WorkerSettings()
        self._turns = asyncio.Semaphore(self._settings.workers)
        self._pending = 0
        self._idle: list[WorkerProcess] = []
        self._retiring: dict[WorkerProcess, asyncio.TimerHandle] = {}
        self._busy = 0
        self._instruments = instruments or Instruments(Metrics())
        self._instruments.split_workers.set(self._settings.workers)
        self._instruments.split_busy.set_function(lambda: self._busy)
        self._instruments.split_waiting.set_function(lambda: self._pending - self._busy)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while worker := self._taken():
            await worker.kill()

    async def split(self, document: Document) -> Split:
        """The document's text and chunks.

        Raises InvalidArgument for a document that cannot be read, among them one that takes more
        time or memory than it may; Overloaded when too many wait; Unavailable when no worker
        starts. Cancelling the call kills its worker.
        """
        with observed(document, self._instruments) as splitting:
            splitting.split = await self._done(document, splitting)
            return splitting.split

    async def _done(self, document: Document, splitting: Splitting) -> Split:
        content, settings = document.content, self._settings
        if len(content) > self._limits.max_bytes:
            raise refused(reasons.TOO_LARGE)
        if len(content) <= settings.inline and is_plain(
            content, document.filename, document.declared_type
        ):
            return await asyncio.to_thread(split, document, self._limits, self._chunks)
        began = monotonic()
        async with self._turn():
            splitting.began(monotonic() - began)
            return await self._split(request(document, self._limits, self._chunks))

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._pending >= self._settings.workers + self._settings.waiting:
            raise Overloaded("too many documents wait to be split", retry_after=1.0)
        self._pending += 1
        try:
            async with self._turns:
                self._busy += 1
                try:
                    yield
                finally:
                    self._busy -= 1
        finally:
            self._pending -= 1

    async def _split(self, data: bytes) -> Split:
        """A used worker may have died of what it did before: a fresh one is asked again, once."""
        worker = self._taken()
        if worker:
            try:
                return await self._asked(worker, data)
            except WorkerEndedError:
                log.warning("worker_ended", returncode=worker.returncode, documents=worker.answered)
                if worker.out_of_time:
                    raise refused(reasons.OVER_LIMITS) from None
        with tracing.span("start_worker"):
            worker = await WorkerProcess.start(self._settings)
        try:
            return await self._asked(worker, data)
        except WorkerEndedError:
            log.warning("worker_ended", returncode=worker.returncode, documents=worker.answered)
            raise refused(reasons.OVER_LIMITS) from None

    async def _asked(self, worker: WorkerProcess, data: bytes) -> Split:
        reusable = False
        try:
            with worked(worker):
                async with asyncio.timeout(self._settings.wall_seconds):
                    head, body = await worker.ask(data)
            reusable = worker.answered < self._settings.documents
            return await asyncio.to_thread(read_reply, head, body)
        except TimeoutError:
            log.warning("split_timed_out", seconds=self._settings.wall_seconds)
            raise refused(reasons.OVER_LIMITS) from None
        finally:
            if reusable:
                self._release(worker)
            else:
                await worker.kill()

    def _taken(self) -> WorkerProcess | None:
        while self._idle:
            worker = self._idle.pop()
            self._retiring.pop(worker).cancel()
            if worker.alive:
                return worker
        return None

    def _release(self, worker: WorkerProcess) -> None:
        self._idle.append(worker)
        loop = asyncio.get_running_loop()
        self._retiring[worker] = loop.call_later(self._settings.idle, self._retire, worker)

    def _retire(self, worker: WorkerProcess) -> None:
        self._idle.remove(worker)
        del self._retiring[worker]
        worker.end()
