"""What a service records, kept in memory: its spans, and metrics as their page shows them."""

import re
from dataclasses import dataclass, field

from prometheus_client.openmetrics.exposition import generate_latest

from rag_common.context import Trace
from rag_common.metrics import Metrics
from rag_common.telemetry import Telemetry
from rag_common.tracing import Span


class Kept:
    """A recorder of everything."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def samples(self, parent: Trace | None, trace_id: str, name: str, kind: str) -> bool:
        return True

    def take(self, span: Span) -> None:
        self.spans.append(span)


@dataclass
class Recorded:
    """What was recorded, and a way to call inside of a server's span."""

    metrics: Metrics = field(default_factory=Metrics)
    kept: Kept = field(default_factory=Kept)

    def __post_init__(self) -> None:
        self.telemetry = Telemetry(self.metrics, self.kept)

    def spans(self, name: str) -> list[Span]:
        return [span for span in self.kept.spans if span.name == name]

    def page(self) -> str:
        latest: bytes = generate_latest(self.metrics.registry)  # type: ignore[no-untyped-call]
        return latest.decode()

    def value(self, sample: str) -> float:
        """A sample's value, by its name and labels as the page writes them."""
        found = re.search(rf"^{re.escape(sample)} (\S+)", self.page(), re.MULTILINE)
        assert found, f"{sample} is not on the page"
        return float(found[1])


def below(span: Span, parent: Span) -> bool:
    return span.parent == parent.position


def told(span: Span, *names: str) -> list[object]:
    """The values of these attributes."""
    return [span.attributes.get(name) for name in names]


def linked(span: Span) -> set[str]:
    """The ids of the spans that it is linked to."""
    return {link.span_id for link in span.links}


def words(span: Span) -> str:
    """All that it says."""
    return repr((span.name, span.attributes, span.events, span.error))
