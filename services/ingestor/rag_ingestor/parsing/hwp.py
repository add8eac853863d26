"""Parses HWP 5 and HWP 3, which unhwp reads: paragraphs, headings, and tables with merged cells."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import unhwp  # type: ignore[import-untyped]

from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.grid import Cell, grid_rows
from rag_ingestor.parsing.parsed import (
    HWP,
    Kind,
    Limits,
    Parsed,
    ParsedBuilder,
    content_error,
    single_line,
)
from rag_ingestor.parsing.tables import table_text

# As unhwp writes a document to JSON.
Node = Mapping[str, Any]


def parse(content: bytes, limits: Limits) -> Parsed:
    """The text in its order, notes and headers where they are anchored. Raises InvalidArgument."""
    try:
        with unhwp.parse_bytes(content) as result:
            document: Node = json.loads(result.json)
    except unhwp.UnhwpError as error:
        if error.kind == unhwp.ErrorKind.ENCRYPTED:
            raise content_error(reasons.ENCRYPTED) from error
        raise
    metadata = document["metadata"]
    builder = ParsedBuilder(limits)
    for section in document["sections"]:
        for kind in ("header", "footer"):
            for part in section.get(kind) or ():
                _add(builder, part)
        for part in section["content"]:
            _add(builder, part)
    if document.get("skipped_sections"):
        builder.skip(reasons.SECTION_UNREAD)
    parsed = builder.parsed(single_line(metadata.get("title") or ""), HWP)
    if metadata.get("is_distribution") and not parsed.text:
        raise content_error(reasons.DISTRIBUTION)
    return parsed


def _add(builder: ParsedBuilder, part: Node) -> None:
    if "Table" in part:
        builder.add(table_text(grid_rows(_cells(part["Table"]["rows"]))), Kind.LINES)
        return
    paragraph = part.get("Paragraph")
    if paragraph is None:
        return
    text = _text(paragraph)
    level = _level(paragraph)
    if level and text.strip():
        builder.add(" ".join(text.split()), Kind.HEADING, level)
    else:
        builder.add(text)


def _level(paragraph: Node) -> int:
    """The level of a paragraph of the outline; unhwp's own guesses by size and form are not used."""
    head = (paragraph.get("style") or {}).get("head") or {}
    return min(int(head["level"]) + 1, 9) if head.get("kind") == "Outline" else 0


def _text(paragraph: Node) -> str:
    return "".join(_texts(paragraph.get("content") or ()))


def _texts(items: Iterable[Any]) -> Iterator[str]:
    """The texts of a paragraph's pieces: runs, links, notes and others that hold text."""
    for item in items:
        if item == "LineBreak":
            yield "\n"
        elif isinstance(item, Mapping):
            for value in item.values():
                yield from _piece(value)


def _piece(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name in ("text", "latex", "script"):
            if isinstance(value.get(name), str):
                yield value[name]
                break
        for name in ("content", "paragraphs"):
            inner = value.get(name)
            if isinstance(inner, list):
                yield from _texts(inner)
    elif isinstance(value, list):
        yield from _texts(value)


def _cell_texts(cell: Node) -> Iterator[str]:
    """The texts of a cell's paragraphs, and of the tables in it."""
    for paragraph in cell["content"]:
        yield from _text(paragraph).split()
    for table in cell.get("nested_tables") or ():
        for row in table["rows"]:
            for inner in row["cells"]:
                yield from _cell_texts(inner)


def _cells(rows: Iterable[Node]) -> Iterator[Cell]:
    """The cells with their columns: one that spans rows takes its columns from the rows below it."""
    taken: set[tuple[int, int]] = set()
    for number, row in enumerate(rows):
        column = 0
        for cell in row["cells"]:
            while (number, column) in taken:
                column += 1
            high, wide = max(cell["rowspan"], 1), max(cell["colspan"], 1)
            text = " ".join(_cell_texts(cell))
            yield Cell(number, column, high, wide, text)
            if high > 1:
                taken.update(
                    (number + down, column + right)
                    for down in range(1, min(high, len(rows) - number))  # type: ignore[arg-type]
                    for right in range(wide)
                )
            column += wide
