"""Lays out tables with merged cells as rows, in which a cell's text is in every place that it spans."""

from collections.abc import Iterable
from dataclasses import dataclass

# Hangul allows 1,024 rows and columns by default; a span beyond that is damage.
_MAX_SIDE = 4096
_MAX_CELLS = 1_000_000


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell at a row and column from 0, the number of rows and columns that it spans, and its text."""

    row: int
    column: int
    rows: int
    columns: int
    text: str


def grid_rows(cells: Iterable[Cell]) -> list[list[str]]:
    """The rows of the table; places without a cell are empty. A table beyond the limits is cut."""
    places: dict[tuple[int, int], str] = {}
    for cell in cells:
        for row in range(cell.row, min(cell.row + cell.rows, _MAX_SIDE)):
            for column in range(cell.column, min(cell.column + cell.columns, _MAX_SIDE)):
                if len(places) < _MAX_CELLS:
                    places.setdefault((row, column), cell.text)
    if not places:
        return []
    height = max(row for row, _ in places) + 1
    width = max(column for _, column in places) + 1
    if height * width > _MAX_CELLS:
        width = max(_MAX_CELLS // height, 1)
    return [[places.get((row, column), "") for column in range(width)] for row in range(height)]
