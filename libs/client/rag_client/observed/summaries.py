"""A trace in a few facts."""

from dataclasses import dataclass

from rag_client.observed.clocks import Skew, skews
from rag_client.observed.paths import Share, shares
from rag_client.observed.spans import Span, Trace
from rag_client.observed.tree import entry, forest


@dataclass(frozen=True, slots=True)
class Missing:
    """A parent that never arrived, and what is left below it."""

    parent_id: str
    span_id: str
    service: str
    name: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What a reader wants first; times are nanoseconds.

    `caller` is the id of a span outside, below which all of this is; it is no orphan's parent.
    """

    trace_id: str
    spans: int
    start: int
    total: int
    services: tuple[str, ...]
    processes: tuple[str, ...]
    critical_path: tuple[Share, ...]
    errors: int
    caller: str
    orphans: tuple[Missing, ...]
    skews: tuple[Skew, ...]
    partial: str


def summary(trace: Trace) -> Summary:
    """The facts of a trace with one span at least."""
    grown = forest(trace)
    came = entry(grown)
    start = min(span.start for span in trace.spans)
    end = max(span.end for span in trace.spans)
    return Summary(
        trace_id=trace.trace_id,
        spans=len(trace.spans),
        start=start,
        total=max(0, end - start),
        services=tuple(sorted({span.service for span in trace.spans})),
        processes=tuple(sorted({span.process for span in trace.spans})),
        critical_path=tuple(shares(grown.tops)),
        errors=sum(span.failed for span in trace.spans),
        caller=came.parent_id if came else "",
        orphans=() if came else tuple(map(_missing, grown.orphans)),
        skews=tuple(skews(grown.tops)),
        partial=trace.partial,
    )


def _missing(orphan: Span) -> Missing:
    return Missing(orphan.parent_id, orphan.span_id, orphan.service, orphan.name)
