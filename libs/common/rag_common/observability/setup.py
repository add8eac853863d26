"""A service's telemetry: spans, log lines and metrics, sent by OTLP if the OTEL_ variables say so."""

import logging as standard_logging
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, TracerProvider

from rag_common.observability import logging, tracing
from rag_common.observability.metrics import Metrics
from rag_common.observability.tracing import Attributes
from rag_common.settings import SettingsInvalid

_SIGNALS = ("traces", "metrics", "logs")


class Telemetry:
    """Starts the spans of calls to this service, and holds its metrics.

    Without a `tracer_provider` nothing is recorded: a call then only has the ids of its caller's trace, or
    of a new one, and passes them on. Instrumentation libraries are to be given the same provider.
    """

    def __init__(
        self, metrics: Metrics | None = None, tracer_provider: TracerProvider | None = None
    ) -> None:
        self.metrics = metrics or Metrics()
        self.tracer_provider = tracer_provider
        self._tracer = tracer_provider.get_tracer(tracing.SCOPE) if tracer_provider else None
        self._closing = ExitStack()

    def serving(
        self, name: str, headers: Mapping[str, str] | None, attributes: Attributes
    ) -> "ServedSpan":
        """Serve a call inside: a span below the one that `traceparent` names, or the root of a new trace.

        An error in the block does not mark the span as failed: whether the fault is the server's is for
        the block to say.
        """
        context = tracing.PROPAGATOR.extract(headers or {})
        if self._tracer:
            context = tracing.with_tracer(self._tracer, context)
            span = self._tracer.start_span(name, context, SpanKind.SERVER, attributes)
        else:
            span = trace.get_current_span(context)
            if not span.get_span_context().is_valid:
                span = tracing.new_trace()
        return ServedSpan(span, context)

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        self._closing.close()

    def on_close(self, close: Callable[[], None]) -> None:
        """Have `close` called at the end, before what was added earlier."""
        self._closing.callback(close)


class ServedSpan:
    """The span of a call that is being served: the current one inside the block, and ended with it."""

    __slots__ = ("_before", "_inside", "span")

    def __init__(self, span: Span, context: contexts.Context) -> None:
        self.span = span
        self._inside = trace.set_span_in_context(span, context)
        self._before = contexts.get_current()

    def __enter__(self) -> Span:
        contexts.attach(self._inside)
        return self.span

    def __exit__(self, *_: object) -> None:
        # Not by a token: a stream may end in another task than it began in.
        contexts.attach(self._before)
        self.span.end()


def configure(service: str, version: str, region: str = "") -> Telemetry:
    """Send what the standard OTEL_ variables ask for to where they say. Raises SettingsInvalid."""
    # It warns of each malformed header and failed export, with text of callers: metrics count both.
    standard_logging.getLogger("opentelemetry").setLevel(standard_logging.CRITICAL)
    metrics = Metrics(service, version, region)
    logging.listen(metrics.line)
    logging.listen_for_drops(metrics.dropped_line)
    if not any(os.environ.get(name) for name in _endpoints()):
        return Telemetry(metrics)
    try:
        from rag_common.observability.otlp.setup import start_export
    except ImportError as error:
        raise SettingsInvalid("OTLP is configured, and its exporter is not installed") from error
    return start_export(metrics, service, version, region)


def _endpoints() -> list[str]:
    base = "OTEL_EXPORTER_OTLP_{}ENDPOINT"
    return [base.format(""), *(base.format(f"{signal.upper()}_") for signal in _SIGNALS)]
