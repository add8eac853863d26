"""The spans of a trace as trees: who called whom."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag_client.observed.spans import Span, Trace


@dataclass(frozen=True, slots=True)
class Node:
    """A span and those below it, in the order in which they began."""

    span: Span
    children: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Forest:
    """The whole: in the order in which they began, `tops` are roots and orphans.

    `orphans` name parents that never arrived, or, through a defect, each other.
    """

    tops: tuple[Node, ...]
    orphans: tuple[Span, ...]


def forest(trace: Trace) -> Forest:
    """Each span once, below its parent or at the top."""
    spans = sorted(trace.spans, key=lambda span: (span.start, -span.end))
    known = {span.span_id for span in spans}
    below: dict[str, list[Span]] = {}
    for span in spans:
        below.setdefault(span.parent_id, []).append(span)
    roots = [span for span in spans if not span.parent_id]
    orphans = [span for span in spans if span.parent_id and span.parent_id not in known]
    reached = _reached([*roots, *orphans], below)
    # Parents in a circle: one of them has to be the first.
    while lost := [span for span in spans if span.span_id not in reached]:
        orphans.append(lost[0])
        reached |= _reached(lost[:1], below, reached)
    tops = sorted([*roots, *orphans], key=lambda span: span.start)
    starts = {span.span_id for span in tops}
    return Forest(tuple(_nodes(tops, below, starts)), tuple(orphans))


def entry(grown: Forest) -> Span | None:
    """The span by which a call from outside came in: all is below it, and its parent is the caller's."""
    if len(grown.tops) == len(grown.orphans) == 1 and grown.orphans[0].kind == "server":
        return grown.orphans[0]
    return None


def walk(nodes: Sequence[Node], depth: int = 0) -> Iterator[tuple[int, Node]]:
    """Each node with its depth, as a reader goes down the page."""
    waiting = [(depth, node) for node in reversed(nodes)]
    while waiting:
        level, node = waiting.pop()
        yield level, node
        waiting.extend((level + 1, child) for child in reversed(node.children))


def _reached(
    tops: Sequence[Span], below: dict[str, list[Span]], before: set[str] | None = None
) -> set[str]:
    reached, waiting = set(before or ()), list(tops)
    while waiting:
        span = waiting.pop()
        if span.span_id not in reached:
            reached.add(span.span_id)
            waiting.extend(below.get(span.span_id, ()))
    return reached


def _nodes(tops: Sequence[Span], below: dict[str, list[Span]], starts: set[str]) -> list[Node]:
    """From the leaves up, so that a deep trace needs no deep stack."""
    order, waiting = list[Span](), list(tops)
    while waiting:
        span = waiting.pop()
        order.append(span)
        waiting.extend(s for s in below.get(span.span_id, ()) if s.span_id not in starts)
    made: dict[str, Node] = {}
    for span in reversed(order):
        own = [s for s in below.get(span.span_id, ()) if s.span_id not in starts]
        made[span.span_id] = Node(span, tuple(made[child.span_id] for child in own))
    return [made[span.span_id] for span in tops]
