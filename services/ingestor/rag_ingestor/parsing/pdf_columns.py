"""Reads a page of several columns column by column: PDFium's lines run across all of them.

The empty strip between two columns shows in the horizontal extents of their lines.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag_ingestor.parsing.running_lines import PlacedLine

# A strip between columns is wider than this many times the height of its lines; words are closer.
MIN_STRIP = 0.9
# Fewer lines side by side are no columns.
_MIN_LINES = 4
# Mean width of a column's lines as a share of the widest: cells of a table are much narrower than their column.
_MIN_FILLED = 0.6
# Cells of a table are short; in characters, where one of Korean takes the room of two.
_MIN_WIDTH = 18
# Columns end at a distance of more than this many lines.
_MAX_DISTANCE = 2.5


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a line from `left` to `right`, in points."""

    left: float
    right: float
    text: str


@dataclass(frozen=True, slots=True)
class SplitLine:
    """A line as its pieces, from left to right, with the height of its foot and of its letters."""

    segments: tuple[Segment, ...]
    height: float
    size: float

    @property
    def whole(self) -> PlacedLine:
        """The line across the page."""
        return PlacedLine(" ".join(segment.text for segment in self.segments), self.height)


_Interval = tuple[float, float]


def in_reading_order(lines: Sequence[SplitLine]) -> list[PlacedLine]:
    """The lines of a page; where there are columns, each of them after the one to its left."""
    result: list[PlacedLine] = []
    at = 0
    while at < len(lines):
        stop, columns = _columns(lines, at)
        if columns:
            result += _by_column(lines[at:stop], columns)
        else:
            stop = at + 1
            result.append(lines[at].whole)
        at = stop
    return result


def _columns(lines: Sequence[SplitLine], first: int) -> tuple[int, list[_Interval]]:
    """Where the columns that begin with the line `first` end, and their extents; none if it begins none."""
    if len(lines[first].segments) < 2:
        return first, []
    columns = [(one.left, one.right) for one in lines[first].segments]
    stop = first + 1
    while stop < len(lines):
        above, line = lines[stop - 1], lines[stop]
        if not 0 < above.height - line.height <= _MAX_DISTANCE * line.size:
            break
        merged = _merged([*columns, *((one.left, one.right) for one in line.segments)])
        if len(merged) < len(columns):
            break
        columns = merged
        stop += 1
    run = lines[first:stop]
    beside = [line for line in run if len(line.segments) == len(columns)]
    is_layout = len(beside) >= _MIN_LINES and all(
        _is_filled([one for line in run for one in line.segments if _within(one, column)])
        for column in columns
    )
    return (stop, columns) if is_layout and len(columns) > 1 else (first, [])


def _merged(intervals: Sequence[_Interval]) -> list[_Interval]:
    result: list[_Interval] = []
    for left, right in sorted(intervals):
        if result and left <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], right))
        else:
            result.append((left, right))
    return result


def _within(segment: Segment, column: _Interval) -> bool:
    return column[0] <= segment.left and segment.right <= column[1]


def _is_filled(segments: Sequence[Segment]) -> bool:
    """Whether these are lines of running text: most are about as wide as the column."""
    widths = [segment.right - segment.left for segment in segments]
    letters = [sum(1 if char.isascii() else 2 for char in one.text) for one in segments]
    return (
        sum(widths) / len(widths) >= _MIN_FILLED * max(widths)
        and sum(letters) / len(letters) >= _MIN_WIDTH
    )


def _by_column(lines: Sequence[SplitLine], columns: Sequence[_Interval]) -> Iterator[PlacedLine]:
    for column in columns:
        for line in lines:
            texts = [one.text for one in line.segments if _within(one, column)]
            if texts:
                yield PlacedLine(" ".join(texts), line.height)
