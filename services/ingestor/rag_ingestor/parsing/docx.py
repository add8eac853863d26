"""Parses DOCX: paragraphs, headings, lists and tables of a WordprocessingML document."""

import io
import re
import zipfile
from collections.abc import Mapping, Sequence

from lxml import etree

from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.parsed import (
    DOCX,
    Kind,
    Limits,
    Parsed,
    ParsedBuilder,
    content_error,
    single_line,
)
from rag_ingestor.parsing.recognition import BROKEN_ARCHIVE
from rag_ingestor.parsing.tables import table_text
from rag_ingestor.parsing.xml import parse_tree

DOCUMENT = "word/document.xml"


def parse(content: bytes, limits: Limits) -> Parsed:
    """The main text with all tracked changes accepted, without headers, footers and notes.

    Reads only the parts that contain text, so images are never unpacked.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = _parts(archive, limits)
    except BROKEN_ARCHIVE as error:
        raise content_error(reasons.BROKEN_DOCX) from error
    try:
        return _parsed(parts, limits)
    except etree.XMLSyntaxError as error:
        raise content_error(reasons.BROKEN_DOCX) from error


_STYLES = "word/styles.xml"
_PROPERTIES = "docProps/core.xml"
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_DOCTYPES = tuple("<!DOCTYPE".encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be"))

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STRICT_W = b"http://purl.oclc.org/ooxml/wordprocessingml/main"
_DROPPED = (
    f"{_W}del",
    f"{_W}moveFrom",
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
)
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_P, _TBL, _TR, _TC, _T, _VAL = (f"{_W}{name}" for name in ("p", "tbl", "tr", "tc", "t", "val"))
_TABS = f"{_W}tabs"
_SPACES = {f"{_W}tab": " ", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
_HEADING = re.compile(r"heading ([1-9])", re.IGNORECASE)


def _parts(archive: zipfile.ZipFile, limits: Limits) -> dict[str, bytes]:
    """The parts that contain text; limits both the declared and the actual unpacked size."""
    if sum(member.file_size for member in archive.infolist()) > limits.max_expanded:
        raise content_error(reasons.EXPANDS)
    parts: dict[str, bytes] = {}
    left = limits.max_expanded
    for name in (DOCUMENT, _STYLES, _PROPERTIES):
        if name in archive.NameToInfo:
            parts[name] = _read(archive, archive.NameToInfo[name], left)
            left -= len(parts[name])
    return parts


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int) -> bytes:
    if member.flag_bits & _ENCRYPTED:
        raise content_error(reasons.ENCRYPTED)
    if member.compress_type not in _METHODS:
        raise content_error(reasons.BROKEN_DOCX)
    with archive.open(member) as source:
        part = source.read(limit + 1)
    if len(part) > limit:
        raise content_error(reasons.EXPANDS)
    return part


def _parsed(parts: Mapping[str, bytes], limits: Limits) -> Parsed:
    levels = _heading_levels(_tree(parts[_STYLES])) if _STYLES in parts else {}
    builder = ParsedBuilder(limits)
    document = _tree(parts[DOCUMENT])
    etree.strip_elements(document, *_DROPPED, with_tail=False)
    for node in document.iter(_P, _TBL):
        if next(node.iterancestors(_TBL), None) is None:
            _add(builder, node, levels)
    title_node = _tree(parts[_PROPERTIES]).find(_TITLE) if _PROPERTIES in parts else None
    title = single_line(title_node.text or "") if title_node is not None else ""
    return builder.parsed(title, DOCX)


def _tree(part: bytes) -> etree._Element:
    if any(mark in part for mark in _DOCTYPES):
        raise content_error(reasons.ENTITIES)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    # The strict variant of the format differs only in its namespaces.
    root = parse_tree(part.replace(_STRICT_W, _W[1:-1].encode()), parser)
    if root.getroottree().docinfo.internalDTD is not None:
        raise content_error(reasons.ENTITIES)
    return root


def _heading_levels(styles: etree._Element) -> dict[str, int]:
    """The heading level of each paragraph style, by its name, outline level or parent style."""
    own: dict[str, int] = {}
    parents: dict[str, str] = {}
    for style in styles.iter(f"{_W}style"):
        name = style.get(f"{_W}styleId", "")
        own[name] = _level(style)
        parents[name] = _value(style.find(f"{_W}basedOn"))
    return {name: level for name in own if (level := _inherited(name, own, parents))}


def _inherited(name: str, own: Mapping[str, int], parents: Mapping[str, str]) -> int:
    for _ in range(16):
        if own.get(name, 0):
            return own[name]
        name = parents.get(name, "")
    return 0


def _level(style: etree._Element) -> int:
    named = _HEADING.fullmatch(_value(style.find(f"{_W}name")))
    return int(named[1]) if named else _outline_level(style)


def _outline_level(node: etree._Element) -> int:
    value = _value(node.find(f"{_W}pPr/{_W}outlineLvl"))
    return int(value) + 1 if value in tuple("012345678") else 0


def _value(node: etree._Element | None) -> str:
    return node.get(_VAL, "") if node is not None else ""


def _add(builder: ParsedBuilder, node: etree._Element, levels: Mapping[str, int]) -> None:
    if node.tag == _TBL:
        builder.add(table_text(*_rows(node)), Kind.LINES)
        return
    style = _value(node.find(f"{_W}pPr/{_W}pStyle"))
    level = _outline_level(node) or levels.get(style, 0)
    text = _text(node)
    if level:
        builder.add(" ".join(text.split()), Kind.HEADING, level)
    else:
        item = node.find(f"{_W}pPr/{_W}numPr") is not None and text.strip()
        builder.add(f"- {text}" if item else text)


def _rows(table: etree._Element) -> tuple[list[list[str]], bool | None]:
    """A table's cells, merged ones repeated in each row and column, and whether it has a header."""
    rows: list[list[str]] = []
    head = None
    for node in table.iter(_TR):
        if next(node.iterancestors(_TBL)) is not table:
            continue
        if not rows and node.find(f"{_W}trPr/{_W}tblHeader") is not None:
            head = True
        rows.append(_row(node, rows[-1] if rows else ()))
    return rows, head


def _row(row: etree._Element, above: Sequence[str]) -> list[str]:
    cells: list[str] = []
    for cell in row.iterchildren(_TC):
        properties = cell.find(f"{_W}tcPr")
        text = " ".join(" ".join(map(_text, cell.iter(_P))).split())
        if _continues(properties) and len(cells) < len(above):
            text = above[len(cells)]
        cells += [text] * _span(properties)
    return cells


def _continues(properties: etree._Element | None) -> bool:
    """Whether the cell continues the one above: a vMerge whose value is not "restart"."""
    merge = properties.find(f"{_W}vMerge") if properties is not None else None
    return merge is not None and _value(merge) != "restart"


def _span(properties: etree._Element | None) -> int:
    """The number of columns that the cell spans, at most Word's limit of 63."""
    value = _value(properties.find(f"{_W}gridSpan")) if properties is not None else ""
    return min(63, int(value)) if value.isascii() and value.isdigit() and int(value) else 1


def _text(paragraph: etree._Element) -> str:
    """The paragraph's own text, without paragraphs of text boxes inside it, which are separate."""
    return "".join(
        node.text or "" if node.tag == _T else _SPACES[str(node.tag)]
        for node in paragraph.iter(_T, *_SPACES)
        if next(node.iterancestors(_P)) is paragraph and next(node.iterancestors()).tag != _TABS
    )
