"""Parses workbooks (XLSX, XLS, ODS): the values of each sheet's rows, with the names of their columns."""

import io
import re
from collections.abc import Sequence

import python_calamine as calamine

from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.archive import Archive, opened
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
from rag_ingestor.parsing.values import value_text

# Excel's own limit is 17 billion cells.
_MAX_CELLS = 4_000_000
_APART = re.compile(
    r"xl/(?:comments\d*|comments/comment\d+|threadedComments/[^/]+|drawings/drawing\d+|charts/chart\d+)\.xml",
    re.IGNORECASE,
)
_DRAWN_TEXT = b"<a:t>"
_OLE = b"\xd0\xcf\x11\xe0"


def parse(content: bytes, limits: Limits) -> Parsed:
    """Each sheet below a heading, values instead of formulas; a merged cell's value in all of its cells.

    Hidden sheets are read too. Raises InvalidArgument.
    """
    media_type, apart = XLS, False
    if not content.startswith(_OLE):
        with opened(content, limits, reasons.BROKEN_WORKBOOK) as archive:
            media_type = ODS if "content.xml" in archive.names else XLSX
            apart = _has_text_apart(archive)
    try:
        workbook = calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
    except calamine.PasswordError as error:
        raise content_error(reasons.ENCRYPTED) from error
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
        cells += sheet.total_height * sheet.total_width
        if cells > _MAX_CELLS:
            raise content_error(reasons.TOO_LONG)
        rows = _rows(sheet)
        if rows:
            builder.add_heading(one.name, 1, sheet=one.name)
            add_sheet(builder, rows, one.name)
    workbook.close()
    if apart:
        builder.skip(reasons.SHEET_PARTS_UNREAD)
    return builder.parsed("", media_type)


def _has_text_apart(archive: Archive) -> bool:
    """Whether a workbook has comments, or text boxes and charts with text."""
    names = filter(_APART.fullmatch, archive.names)
    return any(
        "comment" in name.lower() or _DRAWN_TEXT in (archive.read(name) or b"") for name in names
    )


def _rows(sheet: calamine.CalamineSheet) -> list[Row]:
    """The rows that are not empty, with their numbers."""
    values = [
        [value_text(value) for value in row] for row in sheet.to_python(skip_empty_area=False)
    ]
    _fill_merged(values, sheet.merged_cell_ranges or [])
    return [Row(number, number, row) for number, row in enumerate(values, 1) if any(row)]


def _fill_merged(
    rows: list[list[str]], ranges: Sequence[tuple[tuple[int, int], tuple[int, int]]]
) -> None:
    for (top, left), (bottom, right) in ranges:
        if top >= len(rows) or left >= len(rows[top]):
            continue
        value = rows[top][left]
        for row in rows[top : bottom + 1]:
            row[left : right + 1] = [value] * len(row[left : right + 1])
