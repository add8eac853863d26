"""Adds the rows of a sheet: titles above its tables as text, each row of a table with its columns' names."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TypeAlias

from rag_ingestor.parsing.parsed import ParsedBuilder
from rag_ingestor.parsing.tables import has_head, table_lines

# The row's number in its file, and its cells.
Row: TypeAlias = tuple[int, Sequence[str]]


def add_sheet(builder: ParsedBuilder, rows: Sequence[Row], sheet: str = "") -> None:
    """Add the tables of a sheet, which empty rows separate; `rows` are in order, empty ones left out.

    A table without a head of its own has that of the table above it, if it has the same columns.
    """
    names: list[str] = []
    for region in _regions(rows):
        titles, table = _without_titles(region)
        builder.add_rows([(at, next(filter(None, cells))) for at, cells in titles], sheet)
        if not table:
            continue
        filled = _even([cells for _, cells in table])
        if has_head(filled):
            names = filled[0]
        elif len(names) == len(filled[0]):
            table, filled = [(table[0][0], names), *table], [names, *filled]
        lines = table_lines(filled, head=True if filled[0] is names else None)
        builder.add_rows([(table[at][0], line) for at, line in lines], sheet)


def _regions(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows without an empty one between them."""
    for _, group in groupby(enumerate(rows), key=lambda pair: pair[1][0] - pair[0]):
        yield [row for _, row in group]


def _without_titles(region: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The leading rows that hold one text alone, which may be merged over columns, and the rest."""
    at = 0
    while at < len(region) and len(set(filter(None, region[at][1]))) == 1:
        at += 1
    return list(region[:at]), list(region[at:])


def _even(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """The rows with equally many cells, without the columns that are empty in all of them."""
    width = max(map(len, rows))
    padded = [[*row, *[""] * (width - len(row))] for row in rows]
    kept = [at for at in range(width) if any(row[at] for row in padded)]
    return [[row[at] for at in kept] for row in padded]
