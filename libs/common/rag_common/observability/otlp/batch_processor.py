"""A bounded queue of items to be exported: one thread sends batches, and what is lost is counted.

Spans enter it by a span processor of OpenTelemetry's.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from opentelemetry import context, trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from rag_common.observability import tracing

Item = TypeVar("Item")


class Counts(Protocol):
    """Counts items by whether they were exported."""

    def exported(self, items: int) -> None: ...

    def dropped(self, items: int, reason: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Bounds:
    """At most `queue` items wait, and `batch` go at once; a smaller batch goes after `delay` seconds."""

    queue: int = 2048
    batch: int = 512
    delay: float = 1.0


class BatchProcessor(Generic[Item]):
    """Accepts items from any thread without waiting, and drops the newest if the queue is full.

    `export` returns whether a batch arrived, and has a time limit of its own.
    """

    def __init__(
        self, name: str, export: Callable[[Sequence[Item]], bool], bounds: Bounds, counts: Counts
    ) -> None:
        self._export = export
        self._bounds = bounds
        self._counts = counts
        self._items: deque[Item] = deque()
        self._wake = threading.Event()
        self._exporting = False
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"otlp-{name}", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> None:
        """Queue the item for export."""
        if self._closing or len(self._items) >= self._bounds.queue:
            self._counts.dropped(1, "full")
            return
        self._items.append(item)
        if len(self._items) >= self._bounds.batch:
            self._wake.set()

    def flush(self, seconds: float) -> bool:
        """Export what is queued now; False if that takes longer than `seconds`."""
        end = time.monotonic() + seconds
        self._wake.set()
        while self._items or self._exporting:
            if time.monotonic() >= end:
                return False
            time.sleep(0.01)
        return True

    def close(self, seconds: float) -> None:
        """Export what is queued, for at most `seconds`; the rest is lost."""
        self._closing = True
        self._wake.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        # An instrumented client by which the exporter sends must not begin traces of the exports.
        context.attach(trace.set_span_in_context(tracing.unrecorded(tracing.new_trace())))
        while not self._closing:
            self._wake.wait(self._bounds.delay)
            self._wake.clear()
            self._drain()
        self._drain()

    def _drain(self) -> None:
        while self._items:
            self._exporting = True
            count = min(len(self._items), self._bounds.batch)
            self._deliver([self._items.popleft() for _ in range(count)])
        self._exporting = False

    def _deliver(self, batch: list[Item]) -> None:
        try:
            arrived = self._export(batch)
        except Exception:
            # Any: the service must not notice, and the next batch may get through.
            arrived = False
        if arrived:
            self._counts.exported(len(batch))
        else:
            self._counts.dropped(len(batch), "failed")


class CountingSpanProcessor(SpanProcessor):
    """As the SDK's BatchSpanProcessor, whose drops show in the log alone; these are a metric."""

    def __init__(self, batches: BatchProcessor[ReadableSpan], close_seconds: float) -> None:
        self._batches = batches
        self._close_seconds = close_seconds

    def on_end(self, span: ReadableSpan) -> None:
        """Queue the span for export."""
        position = span.get_span_context()
        if position and position.trace_flags.sampled:
            self._batches.put(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export what is queued; False if that takes longer."""
        return self._batches.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Export what is queued, for a few seconds at most."""
        self._batches.close(self._close_seconds)
