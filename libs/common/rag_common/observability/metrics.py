"""A service's metrics, for Prometheus to scrape or OTLP to send."""

import asyncio
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
from opentelemetry import trace
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from rag_common.context import Call
from rag_common.http.pages import Page, Pages

# In seconds: dense where a search ends, wide enough for a whole answer.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
# From 0 to 1, as scores and shares are.
SHARES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1)
# How many, as passages or texts.
COUNTS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256)

_EXEMPLAR_SECONDS = 1.0


def deadline_label(call: Call | None, code: str) -> str:
    """The label `deadline` of a call that ended so: `short` if only its caller's haste is to blame.

    `call` is the call that is being served, of which the measured one may be a part; None if none is.
    """
    return "short" if call and call.hurried and code == "DEADLINE_EXCEEDED" else ""


class _ResolvedOnce(MetricWrapperBase):
    """Remembers the metric of each set of label values, which prometheus_client looks up under a lock.

    Label values are never removed: `remove` and `clear` would leave the remembered ones behind.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._resolved: dict[tuple[object, ...], Any] = {}

    def labels(self, *values: object, **named: object) -> Any:
        """The metric of these label values."""
        if named:
            return super().labels(*values, **named)
        if values not in self._resolved:
            self._resolved[values] = super().labels(*values)
        return self._resolved[values]


class _Counter(_ResolvedOnce, Counter):
    pass


class _Gauge(_ResolvedOnce, Gauge):
    pass


class ExemplarHistogram(_ResolvedOnce, Histogram):
    """A histogram whose buckets remember the trace of a value that fell into them, now and then."""

    _exemplar_at = 0.0
    _exemplar_amount = 0.0

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Add a value, measured in the current span."""
        span = trace.get_current_span()
        if exemplar is None and span.is_recording():
            now = time.monotonic()
            # An exemplar costs more than the rest of this, and a scrape sees only the last one.
            if now - self._exemplar_at >= _EXEMPLAR_SECONDS or amount > self._exemplar_amount:
                self._exemplar_at, self._exemplar_amount = now, amount
                exemplar = _exemplar(span)
        super().observe(amount, exemplar)


def _exemplar(span: trace.Span) -> dict[str, str]:
    position = span.get_span_context()
    return {
        "trace_id": trace.format_trace_id(position.trace_id),
        "span_id": trace.format_span_id(position.span_id),
    }


class Metrics:
    """One process's own; labels must have few values, and never hold what a caller wrote.

    These are what every service has. Each service declares its own in `instruments.py`.
    """

    def __init__(self, service: str = "", version: str = "", region: str = "") -> None:
        # When a count began is half of all lines, and nobody asks.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry(auto_describe=True)
        own = {"service": service, "region": region}
        self._own_labels = {name: value for name, value in own.items() if value}
        self.calls = self.histogram(
            "rag_rpc_server_duration_seconds",
            "Time from a call's arrival to its end; tier is the caller's tier of limits, deadline is "
            "short where the call ran out of a time under SHORT_DEADLINE that its caller gave.",
            ("method", "code", "tier", "deadline"),
        )
        self.refusals = self.counter(
            "rag_rpc_refusals", "Calls that ended in an error, by its reason.", ("reason",)
        )
        # There from the start, or nobody would see its first.
        self.refusals.labels("INTERNAL")
        self.in_flight = self.gauge("rag_rpc_server_in_flight", "Calls that are being served.")
        self.capacity = self.gauge("rag_rpc_server_capacity", "Most calls that are served at once.")
        self.peer_calls = self.histogram(
            "rag_rpc_client_duration_seconds",
            "Calls to another service, streams until their last message; deadline as for the "
            "call that is being served.",
            ("peer", "method", "code", "deadline"),
        )
        self.dependencies = self.histogram(
            "rag_dependency_duration_seconds",
            "Calls to a data store or an outside system; error is empty or the error's class.",
            ("system", "operation", "error"),
        )
        self._process(version)
        self._readiness()
        self._reporting()

    def counter(self, name: str, help_: str, labels: Sequence[str] = ()) -> Counter:
        """A count that only grows; Prometheus sees it with _total behind its name."""
        return _Counter(name, help_, labels, registry=self.registry)

    def gauge(
        self,
        name: str,
        help_: str,
        labels: Sequence[str] = (),
        read: Callable[[], float] | None = None,
    ) -> Gauge:
        """A value that goes up and down; `read`, if there is one, gives it at each collection."""
        gauge = _Gauge(name, help_, labels, registry=self.registry)
        if read:
            gauge.set_function(read)
        return gauge

    def histogram(
        self,
        name: str,
        help_: str,
        labels: Sequence[str] = (),
        bounds: Sequence[float] = SECONDS,
    ) -> Histogram:
        """A distribution, of seconds unless other bounds are given; its values carry their traces."""
        return ExemplarHistogram(name, help_, labels, registry=self.registry, buckets=bounds)

    def line(self, line: Mapping[str, Any]) -> None:
        """Count a line of the log."""
        self._lines.labels(str(line.get("level", ""))).inc()

    def dropped_line(self) -> None:
        """Count a line of the log that was dropped."""
        self._dropped_lines.inc()

    def collected(self) -> list[Metric]:
        """Every metric at this moment, each sample with the service's name and region."""
        collected = list(self.registry.collect())
        for metric in collected:
            metric.samples = [
                sample._replace(labels={**self._own_labels, **sample.labels})
                for sample in metric.samples
            ]
        return collected

    def pages(self) -> Pages:
        """`/metrics`, in the OpenMetrics format."""

        async def metrics() -> Page:
            # Values are read where they change; writing them out takes longer and can be done elsewhere.
            latest = await asyncio.to_thread(_exposition, self.collected())
            return Page(latest, media_type=CONTENT_TYPE_LATEST)

        return {"/metrics": metrics}

    def _process(self, version: str) -> None:
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.loop_lag = self.histogram(
            "rag_event_loop_lag_seconds", "How late the event loop wakes from a short sleep."
        )
        self.gc_pauses = self.histogram(
            "rag_gc_pause_seconds", "How long the collector held everything.", ("generation",)
        )
        self.threads = self.gauge("rag_threads", "Threads of Python.")
        self.gauge("rag_build_info", "What runs; always 1.", ("version", "python", "grpc")).labels(
            version, platform.python_version(), grpc.__version__
        ).set(1)

    def _readiness(self) -> None:
        self.ready = self.gauge("rag_ready", "Whether the service says SERVING.")
        self.checks = self.gauge(
            "rag_check_up",
            "Whether a named check of readiness passes; a need stops the service, a want degrades it.",
            ("check", "kind"),
        )
        self.check_seconds = self.gauge(
            "rag_check_seconds", "How long a named check took last.", ("check",)
        )

    def _reporting(self) -> None:
        self._lines = self.counter("rag_log_lines", "Lines logged.", ("level",))
        self._dropped_lines = self.counter(
            "rag_log_lines_dropped",
            "Lines lost: standard output was not read, and the queue was full.",
        )
        self.telemetry_exported = self.counter(
            "rag_telemetry_exported", "Items that arrived by OTLP.", ("signal",)
        )
        self.telemetry_dropped = self.counter(
            "rag_telemetry_dropped",
            "Items lost: the queue was full, or sending failed.",
            ("signal", "reason"),
        )
        self.telemetry_queue = self.gauge(
            "rag_telemetry_queue", "Items that wait to be sent by OTLP.", ("signal",)
        )


class ExportCounts:
    """Counts the items of one signal that were exported, and those that were lost."""

    def __init__(self, metrics: Metrics, signal: str) -> None:
        self._metrics = metrics
        self._signal = signal
        for reason in ("full", "failed"):
            metrics.telemetry_dropped.labels(signal, reason)
        metrics.telemetry_exported.labels(signal)

    def exported(self, items: int) -> None:
        """Count items that arrived."""
        self._metrics.telemetry_exported.labels(self._signal).inc(items)

    def dropped(self, items: int, reason: str) -> None:
        """Count items that are lost, by reason."""
        self._metrics.telemetry_dropped.labels(self._signal, reason).inc(items)


class CacheLookups:
    """Counts lookups in a service's caches, by the cache's name and by whether they were hits."""

    def __init__(self, metrics: Metrics) -> None:
        self._requests = metrics.counter(
            "rag_cache_requests", "Cache lookups.", ("cache", "outcome")
        )

    def of(self, name: str) -> Callable[[bool], None]:
        """A function that counts a lookup in the cache of that name, as a hit if its argument is true."""
        hit, miss = self._requests.labels(name, "hit"), self._requests.labels(name, "miss")
        return lambda is_hit: (hit if is_hit else miss).inc()


class _Collected:
    """A registry of metrics that are collected already."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Sequence[Metric]:
        """Everything."""
        return self._metrics


def _exposition(metrics: Sequence[Metric]) -> bytes:
    text: bytes = generate_latest(_Collected(metrics))  # type: ignore[no-untyped-call]
    return text
