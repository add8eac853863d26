"""Puts together what is sent by OTLP: each signal that is wanted, with its exporter and its bound."""

import asyncio
import math
import os
import threading
from collections.abc import Callable
from typing import Any

from opentelemetry.sdk.resources import Resource
from prometheus_client.metrics_core import Metric

from rag_common import logs, tracing
from rag_common.metrics import Metrics, Sent
from rag_common.otlp.exporters import (
    arrived,
    batches,
    exporter,
    resource,
    span_exporter,
    wanted,
)
from rag_common.otlp.lines import Lines
from rag_common.otlp.outbox import Bounds, Outbox
from rag_common.otlp.readings import Readings
from rag_common.otlp.recording import Recording, configured
from rag_common.settings import SettingsInvalid
from rag_common.telemetry import Telemetry

# How long stopping waits for what is left to be sent, each signal.
_CLOSE_SECONDS = 3.0
_COLLECT_SECONDS = 5.0


def opened(metrics: Metrics, service: str, version: str, region: str) -> Telemetry:
    """Begin to send. Raises SettingsInvalid."""
    # Closed the other way round: what sends before what it sends by.
    who = resource(service, version, region)
    closing: list[Callable[[], None]] = []
    recorder = _traces(who, metrics, closing) if wanted("traces") else None
    telemetry = Telemetry(metrics, recorder)
    if wanted("logs"):
        _lines(who, metrics, closing)
    if wanted("metrics"):
        _readings(who, metrics, closing)
    for close in closing:
        telemetry.sends(close)
    return telemetry


def _traces(who: Resource, metrics: Metrics, closing: list[Callable[[], None]]) -> Recording:
    outbox = _outbox("traces", span_exporter(who), metrics, closing)
    recording = Recording(configured(), outbox.put)
    tracing.use(recording)
    return recording


def _lines(who: Resource, metrics: Metrics, closing: list[Callable[[], None]]) -> None:
    logs.listen(Lines(_outbox("logs", exporter("logs"), metrics, closing), who))


def _readings(who: Resource, metrics: Metrics, closing: list[Callable[[], None]]) -> None:
    exporting = exporter("metrics")

    def send(data: Any) -> bool:
        return arrived(exporting.export(data))

    interval = _number("OTEL_METRIC_EXPORT_INTERVAL", 60_000) / 1000
    reading = Readings(_asking(metrics), who, send, interval, Sent(metrics, "metrics"))
    closing.append(exporting.shutdown)
    closing.append(lambda: reading.close(_CLOSE_SECONDS))


def _asking(metrics: Metrics) -> Callable[[], list[Metric]]:
    """Collects on the event loop that runs now, from whichever thread."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return metrics.collected
    thread = threading.get_ident()

    async def ask() -> list[Metric]:
        return metrics.collected()

    def collect() -> list[Metric]:
        if threading.get_ident() == thread:
            return metrics.collected()
        return asyncio.run_coroutine_threadsafe(ask(), loop).result(_COLLECT_SECONDS)

    return collect


def _outbox(
    signal: str, exporting: Any, metrics: Metrics, closing: list[Callable[[], None]]
) -> Outbox[Any]:
    prefix = "OTEL_BSP" if signal == "traces" else "OTEL_BLRP"
    bounds = Bounds(
        queue=_count(f"{prefix}_MAX_QUEUE_SIZE", 2048),
        batch=_count(f"{prefix}_MAX_EXPORT_BATCH_SIZE", 512),
        delay=_number(f"{prefix}_SCHEDULE_DELAY", 1000) / 1000,
    )
    outbox: Outbox[Any] = Outbox(signal, batches(exporting), bounds, Sent(metrics, signal))
    metrics.telemetry_queue.labels(signal).set_function(lambda: len(outbox))
    closing.append(exporting.shutdown)
    closing.append(lambda: outbox.close(_CLOSE_SECONDS))
    return outbox


def _number(name: str, default: float) -> float:
    """A positive number of the environment. Raises SettingsInvalid."""
    text = os.environ.get(name, "")
    try:
        found = float(text) if text else default
    except ValueError:
        found = 0.0
    if not 0 < found < math.inf:
        raise SettingsInvalid(f"{name} is {text}; a positive number is needed")
    return found


def _count(name: str, default: int) -> int:
    """A whole number of the environment, at least 1. Raises SettingsInvalid."""
    found = _number(name, default)
    if found != int(found):
        raise SettingsInvalid(f"{name} is {os.environ[name]}; a whole number is needed")
    return int(found)
