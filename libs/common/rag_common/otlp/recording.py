"""Which traces are recorded, and where their spans go."""

import os
from collections.abc import Callable

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, Sampler

from rag_common.context import Trace
from rag_common.settings import SettingsInvalid
from rag_common.tracing import Span

_SAMPLERS = tuple(
    f"{parent}{own}"
    for parent in ("", "parentbased_")
    for own in ("always_on", "always_off", "traceidratio")
)
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
    """The sampler that OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG name. Raises SettingsInvalid."""
    name = os.environ.get("OTEL_TRACES_SAMPLER") or "parentbased_always_on"
    if name not in _SAMPLERS:
        raise SettingsInvalid(f"OTEL_TRACES_SAMPLER is {name}; known are {', '.join(_SAMPLERS)}")
    if name.endswith("traceidratio"):
        _require_share(os.environ.get("OTEL_TRACES_SAMPLER_ARG") or "1")
    return TracerProvider(shutdown_on_exit=False).sampler


def _require_share(text: str) -> None:
    try:
        fits = 0 <= float(text) <= 1
    except ValueError:
        fits = False
    if not fits:
        raise SettingsInvalid(f"OTEL_TRACES_SAMPLER_ARG is {text}; a share from 0 to 1 is needed")


def remote(parent: Trace) -> trace.Span:
    """A position as OpenTelemetry's own span."""
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if parent.sampled else 0)
    return trace.NonRecordingSpan(
        trace.SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), True, flags)
    )
