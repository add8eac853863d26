"""Parses RTF: the text by paragraphs, tables row by row."""

import re
from itertools import groupby

from striprtf.striprtf import rtf_to_text

from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.parsed import RTF, Kind, Limits, Parsed, ParsedBuilder
from rag_ingestor.parsing.tables import table_text

_CODE_PAGE = re.compile(rb"\\ansicpg(\d{3,5})")
# Destinations with text that striprtf leaves out.
_LEFT_OUT = re.compile(rb"\\(?:footnote|header[lrf]?|footer[lrf]?|shptxt)\b")
# What it puts between the cells of a row.
_CELL = "|"


def parse(content: bytes, limits: Limits) -> Parsed:
    """The text; notes, headers, footers and text boxes are noted as unread."""
    found = _CODE_PAGE.search(content[:4096])
    encoding = f"cp{found[1].decode()}" if found else "cp1252"
    text = rtf_to_text(  # type: ignore[no-untyped-call]
        content.decode("latin-1"), encoding=encoding, errors="replace"
    )
    # Characters beyond U+FFFF are written as two halves.
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    builder = ParsedBuilder(limits)
    for is_row, lines in groupby(text.split("\n"), key=_is_row):
        if is_row:
            rows = [[cell.strip() for cell in line.strip().split(_CELL)[:-1]] for line in lines]
            builder.add(table_text(rows), Kind.LINES)
        else:
            for line in lines:
                builder.add(line)
    if _LEFT_OUT.search(content):
        builder.skip(reasons.PARTS_UNREAD)
    return builder.parsed("", RTF)


def _is_row(line: str) -> bool:
    """Whether a line is a row: striprtf ends each of its cells, the last one as well."""
    return line.count(_CELL) > 1 and line.rstrip().endswith(_CELL)
