"""Parses files of delimited values (CSV, TSV): each row a line, with the names of its columns."""

import csv
import io
from collections.abc import Sequence

from rag_ingestor.parsing.parsed import CSV, Limits, Parsed, ParsedBuilder, normalise
from rag_ingestor.parsing.sheets import Row, add_sheet

_DELIMITERS = ",;\t|"
_SAMPLE_LINES = 50
_LONGEST_CELL = 10_000_000
# A cell of more lines is the rest of a file in which a quote is never closed.
_MOST_LINES = 200


def parse(text: str, limits: Limits) -> Parsed | None:
    """The rows, numbered by the line on which they begin; None if the text is not a table.

    A quoted cell may contain delimiters and line ends. Rows may have different numbers of cells.
    """
    text = normalise(text, limits)
    delimiter = _delimiter(text)
    rows = _rows(text, delimiter) if delimiter else None
    if not rows:
        return None
    builder = ParsedBuilder(limits)
    add_sheet(builder, rows)
    return builder.parsed("", CSV)


def _delimiter(text: str) -> str:
    """The delimiter by which most of the first rows have equally many cells, more than one; or empty."""
    sample = "\n".join(text.splitlines()[:_SAMPLE_LINES])
    best = max(_DELIMITERS, key=lambda one: _agreement(_rows(sample, one) or []))
    return best if _agreement(_rows(sample, best) or []) > (0.5, 1) else ""


def _agreement(rows: Sequence[Row]) -> tuple[float, int]:
    """The share of rows that have as many cells as the most usual row, and that number."""
    widths = [len(row.cells) for row in rows]
    if not widths:
        return 0.0, 0
    usual = max(set(widths), key=lambda width: (widths.count(width), width))
    return (widths.count(usual) / len(widths) if usual > 1 else 0.0), usual


def _rows(text: str, delimiter: str) -> list[Row] | None:
    """The rows that are not empty; None if a quote is never closed or a cell is too long."""
    before = csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=False)
    rows: list[Row] = []
    line = 1
    try:
        for place, cells in enumerate(reader):
            if any(cell.count("\n") > _MOST_LINES for cell in cells):
                return None
            if any(cell.strip() for cell in cells):
                rows.append(Row(place, line, [cell.strip() for cell in cells]))
            line = reader.line_num + 1
    except csv.Error:
        return None
    finally:
        csv.field_size_limit(before)
    return rows
