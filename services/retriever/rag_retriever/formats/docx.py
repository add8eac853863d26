"""DOCX: paragraphs, headings, lists and tables of a WordprocessingML document."""

import io
import re
import zipfile
from collections.abc import Mapping

from lxml import etree

from rag_retriever.formats import reasons
from rag_retriever.formats.parsed import DOCX, Draft, Kind, Limits, Parsed, refused, squeezed
from rag_retriever.formats.recognition import BROKEN_ARCHIVE
from rag_retriever.formats.xml import tree

DOCUMENT = "word/document.xml"


def parse(content: bytes, limits: Limits) -> Parsed:
    """The main text as it reads with all changes accepted; no headers, footers or notes.

    Reads only the parts that hold text, so images are never unpacked.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = _parts(archive, limits)
    except BROKEN_ARCHIVE as error:
        raise refused(reasons.BROKEN_DOCX) from error
    try:
        return _parsed(parts, limits)
    except etree.XMLSyntaxError as error:
        raise refused(reasons.BROKEN_DOCX) from error


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
    """The parts that hold text; both what the archive declares and what it holds is limited."""
    if sum(member.file_size for member in archive.infolist()) > limits.max_expanded:
        raise refused(reasons.EXPANDS)
    parts: dict[str, bytes] = {}
    left = limits.max_expanded
    for name in (DOCUMENT, _STYLES, _PROPERTIES):
        if name in archive.NameToInfo:
            parts[name] = _read(archive, archive.NameToInfo[name], left)
            left -= len(parts[name])
    return parts


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int) -> bytes:
    if member.flag_bits & _ENCRYPTED:
        raise refused(reasons.ENCRYPTED)
    if member.compress_type not in _METHODS:
        raise refused(reasons.BROKEN_DOCX)
    with archive.open(member) as source:
        part = source.read(limit + 1)
    if len(part) > limit:
        raise refused(reasons.EXPANDS)
    return part


def _parsed(parts: Mapping[str, bytes], limits: Limits) -> Parsed:
    levels = _heading_levels(_tree(parts[_STYLES])) if _STYLES in parts else {}
    draft = Draft(limits)
    document = _tree(parts[DOCUMENT])
    etree.strip_elements(document, *_DROPPED, with_tail=False)
    for node in document.iter(_P, _TBL):
        if next(node.iterancestors(_TBL), None) is None:
            _add(draft, node, levels)
    found = _tree(parts[_PROPERTIES]).find(_TITLE) if _PROPERTIES in parts else None
    title = squeezed(found.text or "") if found is not None else ""
    return draft.parsed(title, DOCX)


def _tree(part: bytes) -> etree._Element:
    if any(mark in part for mark in _DOCTYPES):
        raise refused(reasons.ENTITIES)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    # The strict variant of the format differs in its namespaces alone.
    root = tree(part.replace(_STRICT_W, _W[1:-1].encode()), parser)
    if root.getroottree().docinfo.internalDTD is not None:
        raise refused(reasons.ENTITIES)
    return root


def _heading_levels(styles: etree._Element) -> dict[str, int]:
    """The level of each paragraph style that is a heading by its name, outline level or parent."""
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


def _add(draft: Draft, node: etree._Element, levels: Mapping[str, int]) -> None:
    if node.tag == _TBL:
        rows = (_row(row) for row in node.iter(_TR) if next(row.iterancestors(_TBL)) is node)
        draft.add("\n".join(row for row in rows if row), Kind.LINES)
        return
    style = _value(node.find(f"{_W}pPr/{_W}pStyle"))
    level = _outline_level(node) or levels.get(style, 0)
    text = _text(node)
    if level:
        draft.add(" ".join(text.split()), Kind.HEADING, level)
    else:
        item = node.find(f"{_W}pPr/{_W}numPr") is not None and text.strip()
        draft.add(f"- {text}" if item else text)


def _row(row: etree._Element) -> str:
    cells = (
        " ".join(" ".join(map(_text, cell.iter(_P))).split()) for cell in row.iterchildren(_TC)
    )
    return " | ".join(cells).strip(" |")


def _text(paragraph: etree._Element) -> str:
    """The paragraph's own text; one in a text box inside it stands for itself."""
    return "".join(
        node.text or "" if node.tag == _T else _SPACES[str(node.tag)]
        for node in paragraph.iter(_T, *_SPACES)
        if next(node.iterancestors(_P)) is paragraph and next(node.iterancestors()).tag != _TABS
    )
