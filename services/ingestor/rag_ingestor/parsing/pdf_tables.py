"""Detects tables on a PDF page by the positions of words, since a PDF does not mark tables."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import pypdfium2 as pdfium  # type: ignore[import-untyped]

from rag_ingestor.parsing.tables import has_head

# Maximum text rectangles of a page, minimum rows and columns of a table, maximum characters of a
# cell. Two columns may be the page's layout, so they require short cells.
_MAX_RECTANGLES, _ROWS, _COLUMNS = 4000, 3, 3
_LONGEST, _SHORT = 60, 16
# Gap between two pieces of a cell, and offset between pieces of a line, in line heights.
_GAP, _OFFSET = 0.7, 0.5
# In points; less than the distance between lines or columns.
_EDGE = 0.5

_Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class _Cell:
    left: float
    right: float
    text: str


def tables(page: pdfium.PdfTextPage) -> list[list[list[str]]]:
    """The tables of the page from top to bottom, as rows with equally many cells.

    The first row may be a header or not: a table may continue from the previous page.
    """
    lines = list(_lines(page))
    runs = (list(run) for _, run in groupby(lines, key=len))
    return [[[cell.text for cell in line] for line in run] for run in runs if _is_table(run)]


def with_header_row(rows: list[list[str]], names: Sequence[str]) -> list[list[str]] | None:
    """The rows with a header row: their own, or else `names` of the previous table; None if neither."""
    if has_head([[*row, ""] for row in rows]):
        return rows
    return [list(names), *rows] if len(names) == len(rows[0]) else None


def cells_from_line(row: Sequence[str], line: str) -> list[str] | None:
    """The cells of `row` as they occur in `line`, the page's text; None if they do not.

    PDFium may drop glyphs at the border of a cell's box: one cell then gets the text between the
    others.
    """
    for at, cell in enumerate(row):
        rest = _between(row[:at], line.strip(), row[at + 1 :])
        if rest and cell in rest:
            return [*row[:at], rest, *row[at + 1 :]]
    return None


def _between(before: Sequence[str], line: str, after: Sequence[str]) -> str:
    """The text of the line between the cells before and after; "" if they do not match."""
    for cell in before:
        if not line.startswith(cell):
            return ""
        line = line[len(cell) :].lstrip()
    for cell in reversed(after):
        if not line.endswith(cell):
            return ""
        line = line[: -len(cell)].rstrip()
    return line


def _is_table(run: Sequence[Sequence[_Cell]]) -> bool:
    columns = len(run[0])
    if columns < 2 or len(run) < _ROWS:
        return False
    longest = _LONGEST if columns >= _COLUMNS else _SHORT
    if any(not cell.text or len(cell.text) > longest for line in run for cell in line):
        return False
    return all(_aligned([line[at] for line in run]) for at in range(columns))


def _aligned(column: Sequence[_Cell]) -> bool:
    """Whether the cells of a column share a left edge, right edge or centre, or overlap."""
    return max(cell.left for cell in column) < min(cell.right for cell in column) or any(
        max(places) - min(places) < 3.0
        for places in (
            [cell.left for cell in column],
            [cell.right for cell in column],
            [(cell.left + cell.right) / 2 for cell in column],
        )
    )


def _lines(page: pdfium.PdfTextPage) -> Iterator[list[_Cell]]:
    """The lines of the page in their order, cut into cells at wide gaps."""
    count = page.count_rects()
    if count > _MAX_RECTANGLES:
        return
    line: list[_Box] = []
    for box in (page.get_rect(at) for at in range(count)):
        if line and not _beside(line[-1], box):
            yield _cells(page, line)
            line = []
        line.append(box)
    if line:
        yield _cells(page, line)


def _beside(one: _Box, other: _Box) -> bool:
    height = max(one[3] - one[1], other[3] - other[1])
    middle = abs((one[1] + one[3]) - (other[1] + other[3])) / 2
    return middle < _OFFSET * height and other[0] >= one[0]


def _cells(page: pdfium.PdfTextPage, line: Sequence[_Box]) -> list[_Cell]:
    parts: list[list[_Box]] = []
    for box in line:
        height = max(box[3] - box[1], 1.0)
        if parts and box[0] - parts[-1][-1][2] < _GAP * height:
            parts[-1].append(box)
        else:
            parts.append([box])
    if len(parts) < 2:
        return []
    return [
        _Cell(part[0][0], part[-1][2], " ".join("".join(_words(page, part)).split()))
        for part in parts
    ]


def _words(page: pdfium.PdfTextPage, part: Sequence[_Box]) -> Iterator[str]:
    """The text in each box, slightly widened, since glyphs on the border are dropped otherwise."""
    for left, bottom, right, top in part:
        yield page.get_text_bounded(left - _EDGE, bottom - _EDGE, right + _EDGE, top + _EDGE)
