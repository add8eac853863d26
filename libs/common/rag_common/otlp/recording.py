"""Which traces are recorded, and where their spans go."""

from collections.abc import Callable

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, Sampler

from rag_common.context import Trace
from rag_common.tracing import Span

_KINDS = {kind.name.lower(): kind for kind in trace.SpanKind}


class Recording:
    """Asks OpenTelemetry's sampler once for each trace and process; spans below follow.

    `put` must not wait.
    """

    def __init__(self, sampler: Sampler, put: Callable[[Span], None]) -> None:
        self._sampler = sampler
        self.take = put

    def samples(self, parent: Trace | None, trace_id: str, name: str, kind: str) -> bool:
        """Whether the trace is recorded here."""
        above = trace.set_span_in_context(remote(parent), Context()) if parent else Context()
        result = self._sampler.should_sample(above, int(trace_id, 16), name, _KINDS[kind])
        return result.decision is Decision.RECORD_AND_SAMPLE


def configured() -> Sampler:
    """The sampler that OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG name."""
    return TracerProvider(shutdown_on_exit=False).sampler


def remote(parent: Trace) -> trace.Span:
    """A position as OpenTelemetry's own span."""
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if parent.sampled else 0)
    return trace.NonRecordingSpan(
        trace.SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), True, flags)
    )
