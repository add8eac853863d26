"""The spans of a trace as trees of calls."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag_cli.observe.spans import Span, Trace


@dataclass(frozen=True, slots=True)
class Node:
    """A span and its children, in the order of their start times."""

    span: Span
    children: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Forest:
    """All trees: `tops` are roots and orphans, in the order of their start times.

    The parents of `orphans` are missing or, by a defect of an instrumentation, descend from them.
    """

    tops: tuple[Node, ...]
    orphans: tuple[Span, ...]


def forest(trace: Trace) -> Forest:
    """Build the trees; each span occurs once, below its parent or at the top."""
    spans = sorted(trace.spans, key=lambda span: (span.start, -span.end))
    known = {span.span_id for span in spans}
    below: dict[str, list[Span]] = {}
    for span in spans:
        below.setdefault(span.parent_id, []).append(span)
    roots = [span for span in spans if not span.parent_id]
    orphans = [span for span in spans if span.parent_id and span.parent_id not in known]
    reached = _reached([*roots, *orphans], below)
    # A cycle of parents: one of them becomes an orphan.
    while unreached := [span for span in spans if span.span_id not in reached]:
        orphans.append(unreached[0])
        reached |= _reached(unreached[:1], below, reached)
    tops = sorted([*roots, *orphans], key=lambda span: span.start)
    starts = {span.span_id for span in tops}
    return Forest(tuple(_nodes(tops, below, starts)), tuple(orphans))


def entry_span(trees: Forest) -> Span | None:
    """The only top-level span, if it is a server span whose parent is a caller outside; else None."""
    if len(trees.tops) == len(trees.orphans) == 1 and trees.orphans[0].kind == "server":
        return trees.orphans[0]
    return None


def walk(nodes: Sequence[Node], depth: int = 0) -> Iterator[tuple[int, Node]]:
    """Each node with its depth, in depth-first order."""
    pending = [(depth, node) for node in reversed(nodes)]
    while pending:
        level, node = pending.pop()
        yield level, node
        pending.extend((level + 1, child) for child in reversed(node.children))


def _reached(
    tops: Sequence[Span], below: dict[str, list[Span]], before: set[str] | None = None
) -> set[str]:
    reached, pending = set(before or ()), list(tops)
    while pending:
        span = pending.pop()
        if span.span_id not in reached:
            reached.add(span.span_id)
            pending.extend(below.get(span.span_id, ()))
    return reached


def _nodes(tops: Sequence[Span], below: dict[str, list[Span]], starts: set[str]) -> list[Node]:
    """Build the nodes from the leaves up, without recursion, because traces may be deep."""
    order, pending = list[Span](), list(tops)
    while pending:
        span = pending.pop()
        order.append(span)
        pending.extend(s for s in below.get(span.span_id, ()) if s.span_id not in starts)
    nodes: dict[str, Node] = {}
    for span in reversed(order):
        own = [s for s in below.get(span.span_id, ()) if s.span_id not in starts]
        nodes[span.span_id] = Node(span, tuple(nodes[child.span_id] for child in own))
    return [nodes[span.span_id] for span in tops]
