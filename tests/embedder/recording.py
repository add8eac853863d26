"""What a service records, kept in memory: spans by the SDK itself, metrics as their page shows them."""

import re
from dataclasses import dataclass, field

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.openmetrics.exposition import generate_latest

from rag_common.metrics import Metrics
from rag_common.telemetry import Telemetry


@dataclass
class Recorded:
    """What was recorded, and a way to call inside of a server's span."""

    metrics: Metrics = field(default_factory=Metrics)
    kept: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    def __post_init__(self) -> None:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.kept))
        self.tracer = provider.get_tracer("rag")
        self.telemetry = Telemetry(self.metrics, self.tracer)

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.kept.get_finished_spans() if span.name == name]

    def page(self) -> str:
        latest: bytes = generate_latest(self.metrics.registry)  # type: ignore[no-untyped-call]
        return latest.decode()

    def value(self, sample: str) -> float:
        """A sample's value, by its name and labels as the page writes them."""
        found = re.search(rf"^{re.escape(sample)} (\S+)", self.page(), re.MULTILINE)
        assert found, f"{sample} is not on the page"
        return float(found[1])


def below(span: ReadableSpan, parent: ReadableSpan) -> bool:
    return span.parent is not None and span.parent.span_id == parent.context.span_id


def times(span: ReadableSpan) -> tuple[int, int]:
    """When it began and ended, in nanoseconds."""
    assert span.start_time is not None
    assert span.end_time is not None
    return span.start_time, span.end_time


def told(span: ReadableSpan, *names: str) -> list[object]:
    """The values of these attributes."""
    return [(span.attributes or {}).get(name) for name in names]


def linked(span: ReadableSpan) -> set[int]:
    return {link.context.span_id for link in span.links}
