"""What a service records, kept in memory: its spans, and metrics as their page shows them."""

import re
from dataclasses import dataclass, field

from opentelemetry import context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import format_span_id, format_trace_id
from prometheus_client.openmetrics.exposition import generate_latest

from rag_common.observability import tracing
from rag_common.observability.metrics import Metrics
from rag_common.observability.setup import Telemetry


class Kept(SpanProcessor):
    """Keeps every span that has ended."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


@dataclass
class Recorded:
    """What was recorded, and a way to call inside of a server's span."""

    metrics: Metrics = field(default_factory=Metrics)
    kept: Kept = field(default_factory=Kept)

    def __post_init__(self) -> None:
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self.kept)
        self.telemetry = Telemetry(self.metrics, self.provider)

    def use(self) -> None:
        """Record the traces that begin in this context, and in tasks begun from it."""
        context.attach(tracing.with_tracer(self.provider.get_tracer(tracing.SCOPE)))

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.kept.spans if span.name == name]

    def page(self) -> str:
        latest: bytes = generate_latest(self.metrics.registry)  # type: ignore[no-untyped-call]
        return latest.decode()

    def value(self, sample: str) -> float:
        """A sample's value, by its name and labels as the page writes them."""
        result = re.search(rf"^{re.escape(sample)} (\S+)", self.page(), re.MULTILINE)
        assert result, f"{sample} is not on the page"
        return float(result[1])


def below(span: ReadableSpan, parent: ReadableSpan) -> bool:
    return span.parent == parent.context


def told(span: ReadableSpan, *names: str) -> list[object]:
    """The values of these attributes."""
    return [(span.attributes or {}).get(name) for name in names]


def linked(span: ReadableSpan) -> set[str]:
    """The ids of the spans that it is linked to."""
    return {format_span_id(link.context.span_id) for link in span.links}


def span_id(span: ReadableSpan) -> str:
    """The span's own id, in hexadecimal digits."""
    return format_span_id(span.context.span_id)


def trace_id(span: ReadableSpan) -> str:
    """The id of its trace, in hexadecimal digits."""
    return format_trace_id(span.context.trace_id)


def words(span: ReadableSpan) -> str:
    """All that it says."""
    return (
        repr((span.name, dict(span.attributes or {}), span.events, span.status.description))
        + span.to_json()
    )
