"""A common time axis, as cells of a terminal's line.

Every character of it is one cell wide in every terminal: blocks and lines are two in Korean ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rag_client.observed.spans import Event, Span

BAR, POINT = "=", "-"
_MARKS = {"first_token": "*", "end": "|", "exception": "!"}
_OTHER_MARK = "+"
_SECOND, _MILLISECOND = (1_000_000_000, "s"), (1_000_000, "ms")


@dataclass(frozen=True, slots=True)
class Axis:
    """Time from `start` on for `total` nanoseconds, in `width` cells."""

    start: int
    total: int
    width: int

    def cell(self, time: int) -> int:
        """The cell of a moment; what is outside is at the edge."""
        share = (time - self.start) / self.total if self.total else 0.0
        return min(self.width - 1, max(0, int(share * self.width)))

    def stretch(self, span: Span) -> tuple[int, int]:
        """The first cell of a span and the one behind its last, which is never the first."""
        first = self.cell(span.start)
        # The moment of its end is not in it any more.
        return first, max(first + 1, self.cell(span.end - 1) + 1) if span.duration else first + 1

    def bar(self, span: Span) -> str:
        """The span as a line of cells, with its events as marks; what never ended is a point."""
        first, behind = self.stretch(span)
        body = BAR if span.duration else POINT
        cells = [body if first <= cell < behind else " " for cell in range(self.width)]
        for event in span.events:
            cells[self.cell(event.time)] = mark(event)
        return "".join(cells)

    def scale(self) -> str:
        """The line above: nought, the half and the whole."""
        left, middle, right = "0", length(self.total // 2), length(self.total)
        if len(left) + len(middle) + len(right) + 4 > self.width:
            return right.rjust(self.width)
        half = (self.width - len(middle)) // 2
        line = left.ljust(half) + middle
        return line + right.rjust(self.width - len(line))


def mark(event: Event) -> str:
    """The character of an event."""
    return _MARKS.get(event.name, _OTHER_MARK)


def marks(spans: Sequence[Span]) -> list[tuple[Span, Event]]:
    """Every event of the spans, in their order."""
    return [(span, event) for span in spans for event in span.events]


def length(nanoseconds: int) -> str:
    """A length of time in three digits or more: 0.04 ms, 81.2 ms, 1.20 s."""
    size, unit = _SECOND if abs(nanoseconds) >= _SECOND[0] else _MILLISECOND
    value = nanoseconds / size
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{digits}f} {unit}"
