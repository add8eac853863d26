"""Spans into an outbox: what OpenTelemetry calls a processor, with a bound and a count of what was lost."""

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from rag_common.otlp.outbox import Outbox


class Forwarding(SpanProcessor):
    """Puts each sampled span into the outbox when it ends. The outbox is its owner's to close."""

    def __init__(self, outbox: Outbox[ReadableSpan]) -> None:
        self._outbox = outbox

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing is sent of a span that has only begun."""

    def on_end(self, span: ReadableSpan) -> None:
        """Send it some time soon."""
        context = span.context
        if context and context.trace_flags.sampled:
            self._outbox.put(span)
