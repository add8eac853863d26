"""Export by OTLP: each signal that is enabled, with its exporter and its bounds."""

import asyncio
import math
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry import context, trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.metrics_core import Metric

from rag_common.observability import logging, tracing
from rag_common.observability.metrics import ExportCounts, Metrics
from rag_common.observability.otlp.batch_processor import (
    BatchProcessor,
    Bounds,
    CountingSpanProcessor,
)
from rag_common.observability.otlp.exporters import (
    arrived,
    enabled,
    exporter,
    resource,
    span_exporter,
)
from rag_common.observability.otlp.metrics_bridge import MetricsBridge
from rag_common.observability.setup import Telemetry
from rag_common.settings import SettingsInvalid

_SEVERITY = {
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "critical": SeverityNumber.FATAL,
}
# These have fields of their own in a record.
_ELSEWHERE = frozenset({"event", "level", "timestamp", "trace_id", "service"})
_SCOPE = InstrumentationScope("rag")
# How long stopping waits for what is left to be exported, each signal.
_CLOSE_SECONDS = 3.0
_COLLECT_SECONDS = 5.0
# Checked here, as OpenTelemetry replaces an unknown sampler silently.
_SAMPLERS = tuple(
    f"{parent}{own}"
    for parent in ("", "parentbased_")
    for own in ("always_on", "always_off", "traceidratio")
)


class LogBridge:
    """A listener of the log that queues each line for export, with the current span's ids."""

    def __init__(self, batches: BatchProcessor[ReadableLogRecord], resource: Resource) -> None:
        self._batches = batches
        self._resource = resource

    def __call__(self, line: Mapping[str, Any]) -> None:
        """Queue the line for export."""
        level = str(line.get("level", "info"))
        record = LogRecord(
            timestamp=time.time_ns(),
            context=context.get_current(),
            severity_text=level.upper(),
            severity_number=_SEVERITY.get(level, SeverityNumber.INFO),
            body=str(line["event"]),
            attributes={k: _plain(v) for k, v in line.items() if k not in _ELSEWHERE},
            event_name=str(line["event"]),
        )
        self._batches.put(ReadableLogRecord(record, self._resource, _SCOPE))


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) else str(value)


def start_export(metrics: Metrics, service: str, version: str, region: str) -> Telemetry:
    """Export the signals that are enabled. Raises SettingsInvalid."""
    described = resource(service, version, region)
    # Closed the other way round: a queue before the exporter that it exports by.
    closing: list[Callable[[], None]] = []
    provider = _traces(described, metrics, closing) if enabled("traces") else None
    telemetry = Telemetry(metrics, provider)
    if enabled("logs"):
        _logs(described, metrics, closing)
    if enabled("metrics"):
        _metrics(described, metrics, closing)
    for close in closing:
        telemetry.on_close(close)
    return telemetry


def _traces(
    described: Resource, metrics: Metrics, closing: list[Callable[[], None]]
) -> TracerProvider:
    """The provider of this process: the global one, and the one of the context that runs now."""
    _check_sampler()
    provider = TracerProvider(resource=described, shutdown_on_exit=False)
    provider.add_span_processor(span_processor(described, metrics, closing))
    closing.append(provider.shutdown)
    trace.set_tracer_provider(provider)
    context.attach(tracing.with_tracer(provider.get_tracer(tracing.SCOPE)))
    return provider


def span_processor(
    described: Resource, metrics: Metrics, closing: list[Callable[[], None]]
) -> SpanProcessor:
    """The processor that exports spans; its exporter's end is added to `closing`."""
    exporting = span_exporter(described)
    closing.append(exporting.shutdown)
    return CountingSpanProcessor(_batches("traces", exporting, metrics), _CLOSE_SECONDS)


def _logs(described: Resource, metrics: Metrics, closing: list[Callable[[], None]]) -> None:
    exporting = exporter("logs")
    batches = _batches("logs", exporting, metrics)
    closing.append(exporting.shutdown)
    closing.append(lambda: batches.close(_CLOSE_SECONDS))
    logging.listen(LogBridge(batches, described))


def _metrics(described: Resource, metrics: Metrics, closing: list[Callable[[], None]]) -> None:
    exporting = exporter("metrics")

    def export(data: Any) -> bool:
        return arrived(exporting.export(data))

    interval = _number("OTEL_METRIC_EXPORT_INTERVAL", 60_000) / 1000
    counts = ExportCounts(metrics, "metrics")
    bridge = MetricsBridge(_collecting(metrics), described, export, interval, counts)
    closing.append(exporting.shutdown)
    closing.append(lambda: bridge.close(_CLOSE_SECONDS))


def _collecting(metrics: Metrics) -> Callable[[], list[Metric]]:
    """Collects on the event loop that runs now, from any thread: values change there."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return metrics.collected
    thread = threading.get_ident()

    async def on_loop() -> list[Metric]:
        return metrics.collected()

    def collect() -> list[Metric]:
        if threading.get_ident() == thread:
            return metrics.collected()
        return asyncio.run_coroutine_threadsafe(on_loop(), loop).result(_COLLECT_SECONDS)

    return collect


def _batches(signal: str, exporting: Any, metrics: Metrics) -> BatchProcessor[Any]:
    def export(items: Sequence[Any]) -> bool:
        return arrived(exporting.export(items))

    prefix = "OTEL_BSP" if signal == "traces" else "OTEL_BLRP"
    bounds = Bounds(
        queue=_count(f"{prefix}_MAX_QUEUE_SIZE", 2048),
        batch=_count(f"{prefix}_MAX_EXPORT_BATCH_SIZE", 512),
        delay=_number(f"{prefix}_SCHEDULE_DELAY", 1000) / 1000,
    )
    batches: BatchProcessor[Any] = BatchProcessor(
        signal, export, bounds, ExportCounts(metrics, signal)
    )
    metrics.telemetry_queue.labels(signal).set_function(lambda: len(batches))
    return batches


def _number(name: str, default: float) -> float:
    """A positive number of the environment. Raises SettingsInvalid."""
    text = os.environ.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise SettingsInvalid(f"{name} is {text}; a positive number is needed")
    return value


def _count(name: str, default: int) -> int:
    """An integer of the environment, at least 1. Raises SettingsInvalid."""
    value = _number(name, default)
    if value != int(value):
        raise SettingsInvalid(f"{name} is {os.environ[name]}; an integer is needed")
    return int(value)


def _check_sampler() -> None:
    """Raises SettingsInvalid if OTEL_TRACES_SAMPLER or OTEL_TRACES_SAMPLER_ARG is invalid."""
    name = os.environ.get("OTEL_TRACES_SAMPLER") or "parentbased_always_on"
    if name not in _SAMPLERS:
        raise SettingsInvalid(f"OTEL_TRACES_SAMPLER is {name}; known are {', '.join(_SAMPLERS)}")
    if name.endswith("traceidratio"):
        _check_ratio(os.environ.get("OTEL_TRACES_SAMPLER_ARG") or "1")


def _check_ratio(text: str) -> None:
    try:
        valid = 0 <= float(text) <= 1
    except ValueError:
        valid = False
    if not valid:
        raise SettingsInvalid(f"OTEL_TRACES_SAMPLER_ARG is {text}; a ratio from 0 to 1 is needed")
