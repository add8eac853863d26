"""A time axis as cells of a terminal line.

All its characters are ASCII: block and line characters are two cells wide in Korean terminals.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rag_cli.observe.spans import Event, Span

BAR, POINT = "=", "-"
_MARKS = {"first_token": "*", "end": "|", "exception": "!"}
_OTHER_MARK = "+"
_SECOND, _MILLISECOND = (1_000_000_000, "s"), (1_000_000, "ms")


@dataclass(frozen=True, slots=True)
class Axis:
    """The `total` nanoseconds from `start` on, drawn in `width` cells."""

    start: int
    total: int
    width: int

    def cell(self, time: int) -> int:
        """The cell of a time; times outside the axis get the first or the last cell."""
        share = (time - self.start) / self.total if self.total else 0.0
        return min(self.width - 1, max(0, int(share * self.width)))

    def cell_range(self, span: Span) -> tuple[int, int]:
        """The cells of a span as a half-open range, which is never empty."""
        first = self.cell(span.start)
        # A span does not include the time of its end.
        return first, max(first + 1, self.cell(span.end - 1) + 1) if span.duration else first + 1

    def bar(self, span: Span) -> str:
        """The span as a line of cells with marks for its events; one cell if it has no duration."""
        first, stop = self.cell_range(span)
        body = BAR if span.duration else POINT
        cells = [body if first <= cell < stop else " " for cell in range(self.width)]
        for event in span.events:
            cells[self.cell(event.time)] = mark(event)
        return "".join(cells)

    def scale(self) -> str:
        """The scale above the bars: 0, half and total."""
        left, middle, right = (
            "0",
            format_nanoseconds(self.total // 2),
            format_nanoseconds(self.total),
        )
        if len(left) + len(middle) + len(right) + 4 > self.width:
            return right.rjust(self.width)
        half = (self.width - len(middle)) // 2
        line = left.ljust(half) + middle
        return line + right.rjust(self.width - len(line))


def mark(event: Event) -> str:
    """The character that marks an event."""
    return _MARKS.get(event.name, _OTHER_MARK)


def marks(spans: Sequence[Span]) -> list[tuple[Span, Event]]:
    """All events of the spans, in the order of the spans."""
    return [(span, event) for span in spans for event in span.events]


def format_nanoseconds(nanoseconds: int) -> str:
    """A duration as text: 0.04 ms, 81.2 ms, 1.20 s."""
    size, unit = _SECOND if abs(nanoseconds) >= _SECOND[0] else _MILLISECOND
    value = nanoseconds / size
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{digits}f} {unit}"
