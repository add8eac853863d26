"""Adds the rows of a sheet: titles above its tables as text, each row of a table with its columns' names."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from rag_ingestor.parsing.parsed import ParsedBuilder
from rag_ingestor.parsing.tables import has_head, is_number, is_usual_name, table_lines


class Row(NamedTuple):
    """A row of a sheet: its place among all rows, the number by which it is cited, and its cells."""

    place: int
    number: int
    cells: Sequence[str]


def add_sheet(builder: ParsedBuilder, rows: Sequence[Row], sheet: str = "") -> None:
    """Add the tables of a sheet, which empty rows separate; `rows` are in order, empty ones left out.

    The rows below an empty one go on with the table above if they have the same columns, and no title
    and no head of their own.
    """
    names: Sequence[str] = ()
    columns: Sequence[int] = ()
    for region in _regions(rows):
        titles, table = _without_titles(region)
        builder.add_rows([(row.number, _only_text(row)) for row in titles], sheet)
        if not table:
            continue
        own_columns, filled = _even([row.cells for row in table])
        continues = bool(names) and not titles and own_columns == columns
        if continues and not _begins_anew(names, filled):
            numbers = [table[0].number, *(row.number for row in table)]
            lines = table_lines([names, *filled], head=True)
        else:
            numbers = [row.number for row in table]
            lines = table_lines(filled)
            names, columns = (filled[0], own_columns) if has_head(filled) else ((), ())
        builder.add_rows([(numbers[at], line) for at, line in lines], sheet)


def _begins_anew(names: Sequence[str], table: Sequence[Sequence[str]]) -> bool:
    """Whether rows with the columns of the table above have a head of their own, and not one like its rows."""
    if not has_head(table):
        return False
    return list(names) == list(table[0]) or any(map(is_usual_name, table[0])) or _is_typed(table)


def _is_typed(table: Sequence[Sequence[str]]) -> bool:
    """Whether a column has numbers in all rows but the first, which then is a head."""
    return len(table) > 1 and any(
        not is_number(column[0]) and all(cell[:1].isdigit() for cell in column[1:])
        for column in zip(*table, strict=True)
    )


def _only_text(row: Row) -> str:
    return " ".join(next(filter(None, row.cells)).split())


def _regions(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows without an empty one between them."""
    for _, group in groupby(enumerate(rows), key=lambda pair: pair[1].place - pair[0]):
        yield [row for _, row in group]


def _without_titles(region: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The leading rows that hold one text alone, which may be merged over columns, and the rest."""
    at = 0
    while at < len(region) and len(set(filter(None, region[at].cells))) == 1:
        at += 1
    return list(region[:at]), list(region[at:])


def _even(rows: Sequence[Sequence[str]]) -> tuple[list[int], list[list[str]]]:
    """The columns that are not empty in all rows, and the rows with these columns."""
    width = max(map(len, rows))
    padded = [[*row, *[""] * (width - len(row))] for row in rows]
    kept = [at for at in range(width) if any(row[at] for row in padded)]
    return kept, [[row[at] for at in kept] for row in padded]
