"""Splits documents in worker processes, so that no parser can crash, block or outlive the service."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Self, TypeVar

import structlog

from rag_common.observability import tracing
from rag_common.observability.metrics import Metrics
from rag_contract.errors import Overloaded
from rag_ingestor.chunking.chunks import ChunkSettings, SourceFile, Split, split
from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.parse import MEDIA_TYPES, is_plain
from rag_ingestor.parsing.parsed import Limits, content_error
from rag_ingestor.sandbox.ipc import (
    decode_image,
    decode_response,
    encode_render_request,
    encode_request,
)
from rag_ingestor.sandbox.process import WorkerEndedError, WorkerProcess, WorkerSettings
from rag_ingestor.sandbox.telemetry import SplitObservation, observe_split, traced_work
from rag_ingestor.telemetry.metrics import IngestorMetrics

__all__ = ["SplitterPool", "WorkerSettings"]

log = structlog.get_logger()

T = TypeVar("T")


class SplitterPool:
    """A pool of worker processes that split documents; a context manager that ends them on exit."""

    def __init__(
        self,
        limits: Limits | None = None,
        chunks: ChunkSettings | None = None,
        settings: WorkerSettings | None = None,
        metrics: IngestorMetrics | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._chunks = chunks or ChunkSettings()
        self._settings = settings or WorkerSettings()
        self._slots = asyncio.Semaphore(self._settings.workers)
        self._pending = 0
        self._idle: list[WorkerProcess] = []
        self._retiring: dict[WorkerProcess, asyncio.TimerHandle] = {}
        self._busy = 0
        self._metrics = metrics or IngestorMetrics(Metrics())
        self._metrics.split_workers.set(self._settings.workers)
        self._metrics.split_busy.set_function(lambda: self._busy)
        self._metrics.split_waiting.set_function(lambda: self._pending - self._busy)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        while worker := self._acquire_idle():
            await worker.kill()

    @property
    def media_types(self) -> tuple[str, ...]:
        """The media types that can be parsed."""
        return MEDIA_TYPES

    async def split(self, file: SourceFile) -> Split:
        """The document's text and chunks.

        Raises InvalidArgument for a document that cannot be parsed, also if it exceeds the limits of
        time or memory; Overloaded if the queue is full; Unavailable if no worker starts. Cancelling
        the call kills its worker.
        """
        with observe_split(file, self._metrics) as observation:
            observation.split = await self._dispatch(file, observation)
            return observation.split

    async def render(self, file: SourceFile, page: int) -> bytes:
        """A page of a PDF or an image, from 1, as an image in PGM. Raises as `split` does."""
        async with self._worker_slot():
            return await self._run(encode_render_request(file, page), decode_image)

    async def _dispatch(self, file: SourceFile, observation: SplitObservation) -> Split:
        content, settings = file.content, self._settings
        if len(content) > self._limits.max_bytes:
            raise content_error(reasons.TOO_LARGE)
        if len(content) <= settings.inline_bytes and is_plain(
            content, file.filename, file.declared_type
        ):
            return await asyncio.to_thread(split, file, self._limits, self._chunks)
        started = monotonic()
        async with self._worker_slot():
            observation.record_wait(monotonic() - started)
            request = encode_request(file, self._limits, self._chunks)
            return await self._run(request, decode_response)

    @asynccontextmanager
    async def _worker_slot(self) -> AsyncIterator[None]:
        if self._pending >= self._settings.workers + self._settings.queue_limit:
            raise Overloaded("too many documents are waiting to be split", retry_after=1.0)
        self._pending += 1
        try:
            async with self._slots:
                self._busy += 1
                try:
                    yield
                finally:
                    self._busy -= 1
        finally:
            self._pending -= 1

    async def _run(self, data: bytes, decode: Callable[[bytes, bytes], T]) -> T:
        """The decoded response of an idle worker or a new one.

        An idle worker may die of an earlier document, so the request is retried once on a new one.
        """
        worker = self._acquire_idle()
        if worker:
            try:
                return await self._run_on(worker, data, decode)
            except WorkerEndedError:
                log.warning("worker_ended", returncode=worker.returncode, documents=worker.answered)
                if worker.out_of_time:
                    raise content_error(reasons.OVER_LIMITS) from None
        with tracing.span("start_worker"):
            worker = await WorkerProcess.start(self._settings)
        try:
            return await self._run_on(worker, data, decode)
        except WorkerEndedError:
            log.warning("worker_ended", returncode=worker.returncode, documents=worker.answered)
            raise content_error(reasons.OVER_LIMITS) from None

    async def _run_on(
        self, worker: WorkerProcess, data: bytes, decode: Callable[[bytes, bytes], T]
    ) -> T:
        reusable = False
        try:
            with traced_work(worker):
                async with asyncio.timeout(self._settings.wall_seconds):
                    head, body = await worker.request(data)
            reusable = worker.answered < self._settings.documents_per_worker
            return await asyncio.to_thread(decode, head, body)
        except TimeoutError:
            log.warning("split_timed_out", seconds=self._settings.wall_seconds)
            raise content_error(reasons.OVER_LIMITS) from None
        finally:
            if reusable:
                self._release(worker)
            else:
                await worker.kill()

    def _acquire_idle(self) -> WorkerProcess | None:
        while self._idle:
            worker = self._idle.pop()
            self._retiring.pop(worker).cancel()
            if worker.alive:
                return worker
        return None

    def _release(self, worker: WorkerProcess) -> None:
        self._idle.append(worker)
        loop = asyncio.get_running_loop()
        self._retiring[worker] = loop.call_later(self._settings.idle_seconds, self._retire, worker)

    def _retire(self, worker: WorkerProcess) -> None:
        self._idle.remove(worker)
        del self._retiring[worker]
        worker.end()
