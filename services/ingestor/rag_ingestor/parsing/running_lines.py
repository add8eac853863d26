"""Finds running headers, footers and page numbers by their place: lines at the same height on most pages."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

# On fewer pages a repeated line may be text.
_MIN_PAGES = 3
_MIN_SHARE = 0.5
_MAX_ROWS = 3
# Points by which the height of the same line may differ, and lines of one row.
_SAME_HEIGHT = 2.0
# A margin is set apart from the text by more than this many line distances.
_GAP = 1.4
# Share of the characters that must remain.
_MIN_TEXT = 0.35
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """A line of a page and the height of its foot above that of the page, in points."""

    text: str
    height: float


def without_running_lines(pages: Sequence[Sequence[PlacedLine]]) -> list[list[PlacedLine]]:
    """The pages without the lines that run through the document.

    Such a line stands at the same height, with any numbers, on at least half of all pages and on three, at
    the top or the bottom of each, and apart from the text.
    """
    counts = Counter(key for page in pages for key in {_key(line) for line in page})
    needed = max(_MIN_PAGES, len(pages) * _MIN_SHARE)
    rows = [list(_rows([line for line in page if line.text.strip()])) for page in pages]
    distances = sorted(distance for page in rows for distance in _distances(page))
    if len(pages) < _MIN_PAGES or not distances:
        return [list(page) for page in pages]
    # The distance of lines within a paragraph is the most frequent one, and among the smallest.
    gap = _GAP * distances[len(distances) // 4]
    kept = [
        _kept(page, placed, lambda line: _count(line, counts) >= needed, gap)
        for page, placed in zip(pages, rows, strict=True)
    ]
    # Pages that are alike, such as forms, are text.
    is_text = _characters(kept) < _MIN_TEXT * _characters(pages)
    return [list(page) for page in pages] if is_text else kept


_Key = tuple[str, int]


def _key(line: PlacedLine) -> _Key:
    """The line's text with each number as #, and its height, rounded."""
    return _DIGITS.sub("#", " ".join(line.text.split())), round(line.height / _SAME_HEIGHT)


def _characters(pages: Sequence[Sequence[PlacedLine]]) -> int:
    return sum(len(line.text) for page in pages for line in page)


def _kept(
    page: Sequence[PlacedLine],
    rows: Sequence[Sequence[PlacedLine]],
    is_repeated: Callable[[PlacedLine], bool],
    gap: float,
) -> list[PlacedLine]:
    runs = [all(map(is_repeated, row)) for row in rows]
    distances = _distances(rows)
    top = _margin(runs, distances, gap)
    bottom = _margin(runs[::-1], distances[::-1], gap)
    dropped = {id(line) for row in [*rows[:top], *rows[len(rows) - bottom :]] for line in row}
    return [line for line in page if id(line) not in dropped]


def _distances(rows: Sequence[Sequence[PlacedLine]]) -> list[float]:
    return [above[0].height - below[0].height for above, below in pairwise(rows)]


def _margin(runs: Sequence[bool], distances: Sequence[float], gap: float) -> int:
    """How many rows from the edge inwards belong to the margin."""
    rows = 0
    for at, (is_running, distance) in enumerate(zip(runs, distances, strict=False)):
        if not is_running or at == _MAX_ROWS:
            break
        if distance > gap:
            rows = at + 1
    return rows


def _count(line: PlacedLine, counts: Counter[_Key]) -> int:
    """On how many pages the line stands, also if its height is rounded to a neighbouring number."""
    shape, height = _key(line)
    return sum(counts[shape, height + by] for by in (-1, 0, 1))


def _rows(lines: Sequence[PlacedLine]) -> Iterator[list[PlacedLine]]:
    """The lines from top to bottom, those of one height together."""
    row: list[PlacedLine] = []
    for line in sorted(lines, key=lambda line: -line.height):
        if row and row[0].height - line.height > _SAME_HEIGHT:
            yield row
            row = []
        row.append(line)
    if row:
        yield row
