"""The summary of a trace."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag_cli.observe.axis import format_nanoseconds
from rag_cli.observe.spans import Trace
from rag_cli.observe.text import printable, short_name
from rag_cli.observe.tree import Node, entry_span, forest, walk

# In nanoseconds. Smaller differences also occur on one machine, where spans read the clock at different times.
_TOLERANCE = 1_000_000
UNSEEN = "(no span)"


@dataclass(frozen=True, slots=True)
class Skew:
    """The minimum difference of a process's clock from its caller's; negative if it is behind."""

    process: str
    against: str
    nanoseconds: int


def skews(tops: Sequence[Node]) -> list[Skew]:
    """The largest skew of each pair of processes.

    A call that starts before its caller's span, or after the end of it, shows that the clocks differ.
    """
    largest: dict[tuple[str, str], int] = {}
    for _, node in walk(tops):
        for child in node.children:
            pair = (child.span.process, node.span.process)
            difference = _difference(node, child)
            if pair[0] != pair[1] and abs(difference) > max(_TOLERANCE, abs(largest.get(pair, 0))):
                largest[pair] = difference
    return [Skew(*pair, difference) for pair, difference in largest.items()]


def _difference(node: Node, child: Node) -> int:
    if child.span.start < node.span.start:
        return child.span.start - node.span.start
    return max(0, child.span.start - node.span.end) if node.span.duration else 0


@dataclass(frozen=True, slots=True)
class Share:
    """The time of one kind of span on the critical path, without its children, in nanoseconds."""

    service: str
    kind: str
    name: str
    nanoseconds: int


def shares(tops: Sequence[Node]) -> list[Share]:
    """The time from the first start to the last end, by service and span, the largest share first.

    A span's own time is that in which it waits for none of its children. Time between top-level spans
    belongs to UNSEEN.
    """
    if not tops:
        return []
    spent: Counter[tuple[str, str, str]] = Counter()
    begin, end = min(node.span.start for node in tops), max(node.span.end for node in tops)
    # A kind of span, the interval to attribute, and the child spans in it.
    pending = [(("", "", UNSEEN), begin, end, tuple(tops))]
    while pending:
        kind, first, last, children = pending.pop()
        now = last
        for child in sorted(children, key=lambda node: node.span.end, reverse=True):
            below, until = max(child.span.start, first), min(child.span.end, now)
            if until <= below:
                continue
            spent[kind] += now - until
            own = (child.span.service, child.span.kind, child.span.name)
            pending.append((own, below, until, child.children))
            now = below
        spent[kind] += max(0, now - first)
    return [Share(*kind, spent) for kind, spent in spent.most_common() if spent]


@dataclass(frozen=True, slots=True)
class Missing:
    """A missing parent span, and its child."""

    parent_id: str
    span_id: str
    service: str
    name: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The key facts of a trace; times are nanoseconds.

    `caller` is the id of the caller's span if that is the parent of the complete trace, else empty; the
    trace then has no orphans.
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
    """The summary of a trace with at least one span."""
    trees = forest(trace)
    entry = entry_span(trees)
    start = min(span.start for span in trace.spans)
    end = max(span.end for span in trace.spans)
    return Summary(
        trace_id=trace.trace_id,
        spans=len(trace.spans),
        start=start,
        total=max(0, end - start),
        services=tuple(sorted({span.service for span in trace.spans})),
        processes=tuple(sorted({span.process for span in trace.spans})),
        critical_path=tuple(shares(trees.tops)),
        errors=sum(span.failed for span in trace.spans),
        caller=entry.parent_id if entry else "",
        orphans=()
        if entry
        else tuple(
            Missing(span.parent_id, span.span_id, span.service, span.name) for span in trees.orphans
        ),
        skews=tuple(skews(trees.tops)),
        partial=trace.partial,
    )


_MAX_ORPHANS = 10


def warnings(facts: Summary) -> Iterator[str]:
    """A sentence for each missing part, and for each pair of clocks that differ."""
    if facts.partial:
        yield f"incomplete trace: {printable(facts.partial)}"
    if facts.caller:
        yield (
            f"its parent span {facts.caller} is missing: it belongs to the caller, was not exported, "
            "or was lost"
        )
    for orphan in facts.orphans[:_MAX_ORPHANS]:
        yield (
            f"orphan: the parent {orphan.parent_id} of {printable(orphan.service)} {short_name(orphan.name)} "
            "is missing: lost, or not exported"
        )
    if len(facts.orphans) > _MAX_ORPHANS:
        yield f"and {len(facts.orphans) - _MAX_ORPHANS} more orphans"
    for skew in facts.skews:
        direction = "ahead of" if skew.nanoseconds > 0 else "behind"
        difference = format_nanoseconds(abs(skew.nanoseconds))
        yield (
            f"clocks: {printable(skew.process)} is {difference} or more {direction} "
            f"{printable(skew.against)}; times are shown as recorded"
        )
