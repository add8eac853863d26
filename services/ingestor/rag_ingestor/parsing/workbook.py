"""Parses workbooks (XLSX, XLS, ODS): the values of each sheet's rows, with the names of their columns."""

import datetime
import io
from collections.abc import Sequence
from typing import Any

import python_calamine as calamine

from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.archive import opened
from rag_ingestor.parsing.parsed import (
    ODS,
    XLS,
    XLSX,
    Limits,
    Parsed,
    ParsedBuilder,
    content_error,
)
from rag_ingestor.parsing.sheets import Row, add_sheet

# Excel's own limit is 17 billion cells.
_MAX_CELLS = 4_000_000
_OLE = b"\xd0\xcf\x11\xe0"


def parse(content: bytes, limits: Limits) -> Parsed:
    """Each sheet below a heading, values instead of formulas; a merged cell's value in all of its cells.

    Hidden sheets are read too. Raises InvalidArgument.
    """
    media_type = XLS
    if not content.startswith(_OLE):
        with opened(content, limits, reasons.BROKEN_WORKBOOK) as archive:
            media_type = ODS if "content.xml" in archive.names else XLSX
    try:
        workbook = calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
    except calamine.PasswordError as error:
        raise content_error(reasons.ENCRYPTED) from error
    except (calamine.CalamineError, OSError, ValueError) as error:
        raise content_error(reasons.BROKEN_WORKBOOK) from error
    builder = ParsedBuilder(limits)
    cells = 0
    for one in workbook.sheets_metadata:
        if one.typ != calamine.SheetTypeEnum.WorkSheet:
            continue
        try:
            sheet = workbook.get_sheet_by_name(one.name)
        except (calamine.CalamineError, OSError, ValueError):
            builder.skip(reasons.SHEET_UNREAD, detail=one.name)
            continue
        cells += sheet.height * sheet.width
        if cells > _MAX_CELLS:
            raise content_error(reasons.TOO_LONG)
        rows = _rows(sheet)
        if rows:
            builder.add_heading(one.name, 1, sheet=one.name)
            add_sheet(builder, rows, one.name)
    workbook.close()
    return builder.parsed("", media_type)


def _rows(sheet: calamine.CalamineSheet) -> list[Row]:
    """The rows that are not empty, with their numbers."""
    values = [[_text(value) for value in row] for row in sheet.to_python(skip_empty_area=False)]
    _fill_merged(values, sheet.merged_cell_ranges or [])
    return [(number, row) for number, row in enumerate(values, 1) if any(row)]


def _fill_merged(
    rows: list[list[str]], ranges: Sequence[tuple[tuple[int, int], tuple[int, int]]]
) -> None:
    for (top, left), (bottom, right) in ranges:
        if top >= len(rows) or left >= len(rows[top]):
            continue
        value = rows[top][left]
        for row in rows[top : bottom + 1]:
            row[left : right + 1] = [value] * len(row[left : right + 1])


def _text(value: Any) -> str:
    """A cell's value: whole numbers without decimals, dates as in ISO 8601 without a time of midnight."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else str(value)
    return " ".join(str(value).split())
