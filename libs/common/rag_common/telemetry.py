"""Traces by OpenTelemetry over OTLP; nothing is loaded and nothing is paid unless an endpoint is set."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rag_common.context import Trace
from rag_common.metrics import Metrics

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Telemetry:
    """Opens spans, and holds what is counted; without a provider it only hands the caller's trace on."""

    def __init__(self, provider: Any = None) -> None:
        self.metrics = Metrics()
        self._provider = provider
        self._tracer = provider.get_tracer("rag") if provider else None

    @contextmanager
    def span(
        self, name: str, kind: str, parent: Trace | None, attributes: dict[str, str]
    ) -> Iterator[Trace]:
        """A span below `parent`, or a new root; `kind` is server, client or internal.

        Gives the position inside it, which without a provider is the parent's own or a new trace's.
        """
        if not self._tracer:
            yield parent or Trace.new()
            return
        # Not made current: a stream's generator may be resumed in another task than it began in.
        span = self._tracer.start_span(
            name, parent and _remote(parent), kind=_kind(kind), attributes=attributes
        )
        try:
            yield _position(span)
        except BaseException as error:
            _fail(span, error)
            raise
        finally:
            span.end()

    def close(self) -> None:
        """Send what is left, waiting at most the exporter's own time limit."""
        if self._provider:
            self._provider.shutdown()


def configure(service: str, version: str) -> Telemetry:
    """Export to the endpoint of the standard OTEL_ variables, where one is set."""
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if disabled or not any(os.environ.get(name) for name in _ENDPOINTS):
        return Telemetry()
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": f"rag-{service}", "service.version": version})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Telemetry(provider)


def _remote(parent: Trace) -> Any:
    from opentelemetry import trace

    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if parent.sampled else 0)
    span = trace.SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), True, flags)
    return trace.set_span_in_context(trace.NonRecordingSpan(span))


def _kind(name: str) -> Any:
    from opentelemetry.trace import SpanKind

    return SpanKind[name.upper()]


def _fail(span: Any, error: BaseException) -> None:
    """The type alone: an exception's text may hold what a user wrote."""
    from opentelemetry.trace import StatusCode

    span.set_status(StatusCode.ERROR, type(error).__name__)


def _position(span: Any) -> Trace:
    context = span.get_span_context()
    return Trace(f"{context.trace_id:032x}", f"{context.span_id:016x}", context.trace_flags.sampled)
