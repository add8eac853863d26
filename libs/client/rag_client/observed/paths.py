"""The critical path of a trace: at each moment, the span that the end had to wait for."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rag_client.observed.tree import Node

UNSEEN = "(no span)"


@dataclass(frozen=True, slots=True)
class Share:
    """What one kind of span has of the critical path by itself, in nanoseconds."""

    service: str
    kind: str
    name: str
    nanoseconds: int


def shares(tops: Sequence[Node]) -> list[Share]:
    """The whole time from the first start to the last end, by service and span, the largest first.

    Time of a span is its own where none of its children was waited for; time between the tops is
    no span's.
    """
    if not tops:
        return []
    spent: Counter[tuple[str, str, str]] = Counter()
    begin, end = min(node.span.start for node in tops), max(node.span.end for node in tops)
    # What is looked at: a kind of span, the stretch of time, and what was below it.
    waiting = [(("", "", UNSEEN), begin, end, tuple(tops))]
    while waiting:
        kind, first, last, children = waiting.pop()
        now = last
        for child in sorted(children, key=lambda node: node.span.end, reverse=True):
            below, until = max(child.span.start, first), min(child.span.end, now)
            if until <= below:
                continue
            spent[kind] += now - until
            own = (child.span.service, child.span.kind, child.span.name)
            waiting.append((own, below, until, child.children))
            now = below
        spent[kind] += max(0, now - first)
    return [Share(*kind, spent) for kind, spent in spent.most_common() if spent]
