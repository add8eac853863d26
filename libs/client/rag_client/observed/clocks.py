"""Clocks of machines that do not agree, as a trace shows it."""

from collections.abc import Sequence
from dataclasses import dataclass

from rag_client.observed.tree import Node, walk

# Below this a difference says nothing: clocks of one machine are read at other moments.
_TOLERANCE = 1_000_000


@dataclass(frozen=True, slots=True)
class Skew:
    """A process whose clock is off by `nanoseconds` at least, against its caller's; behind where negative."""

    process: str
    against: str
    nanoseconds: int


def skews(tops: Sequence[Node]) -> list[Skew]:
    """One a pair of processes, the worst seen.

    A call that begins before it was sent, or after its caller has had the end, cannot be.
    """
    worst: dict[tuple[str, str], int] = {}
    for _, node in walk(tops):
        for child in node.children:
            pair = (child.span.process, node.span.process)
            off = _off(node, child)
            if pair[0] != pair[1] and abs(off) > max(_TOLERANCE, abs(worst.get(pair, 0))):
                worst[pair] = off
    return [Skew(*pair, off) for pair, off in worst.items()]


def _off(node: Node, child: Node) -> int:
    if child.span.start < node.span.start:
        return child.span.start - node.span.start
    return max(0, child.span.start - node.span.end) if node.span.duration else 0
