"""Parses HWPX (OWPML, KS X 6101): paragraphs, headings, tables, notes, text boxes, headers and footers."""

import re
from collections.abc import Iterator, Sequence

from lxml import etree

from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.archive import Archive, opened, xml_tree
from rag_ingestor.parsing.grid import Cell, grid_rows
from rag_ingestor.parsing.parsed import (
    HWPX,
    Kind,
    Limits,
    Parsed,
    ParsedBuilder,
    content_error,
    single_line,
)
from rag_ingestor.parsing.tables import table_text


def parse(content: bytes, limits: Limits) -> Parsed:
    """The text in its order; a note stands after its paragraph, headers and footers once before the text.

    Raises InvalidArgument.
    """
    with opened(content, limits, reasons.BROKEN_HWPX) as archive:
        if _ENCRYPTION in (archive.read(_MANIFEST) or b""):
            raise content_error(reasons.ENCRYPTED)
        sections = sorted(filter(_SECTION.fullmatch, archive.names), key=_section_number)
        if not sections:
            raise content_error(reasons.BROKEN_HWPX)
        reader = _Reader(ParsedBuilder(limits), _heading_levels(archive))
        trees = [xml_tree(archive.read(name) or b"") for name in sections]
        reader.add_margins(trees)
        for tree in trees:
            for paragraph in _children(tree, "p"):
                reader.add_paragraph(paragraph)
        return reader.builder.parsed(_title(archive), HWPX)


_MANIFEST = "META-INF/manifest.xml"
_ENCRYPTION = b"encryption-data"
_SECTION = re.compile(r"Contents/section(\d+)\.xml")
_HEADER = "Contents/header.xml"
_PACKAGE = "Contents/content.hpf"
_OUTLINE_STYLE = re.compile(r"(?:개요|Outline) ([1-9]|10)")
_NOTES = ("footNote", "endNote")
_MARGINS = ("header", "footer")
_BREAKS = {"tab": " ", "lineBreak": "\n", "nbSpace": " ", "fwSpace": " ", "hyphen": "-"}
# Marks of tracked changes, which may be in different runs.
_DELETION = {"deleteBegin": True, "deleteEnd": False}


def _section_number(name: str) -> int:
    match = _SECTION.fullmatch(name)
    return int(match[1]) if match else 0


def _name(node: etree._Element) -> str:
    """The element's name without its namespace, which differs between versions of the format."""
    return etree.QName(node).localname if isinstance(node.tag, str) else ""


def _children(node: etree._Element, name: str) -> Iterator[etree._Element]:
    return (child for child in node.iterchildren() if _name(child) == name)


def _descendants(node: etree._Element, name: str) -> Iterator[etree._Element]:
    return (child for child in node.iterdescendants() if _name(child) == name)


def _heading_levels(archive: Archive) -> dict[str, int]:
    """The heading level of each style by its id: those of the outline, by their names."""
    part = archive.read(_HEADER)
    if part is None:
        return {}
    levels = {}
    for style in _descendants(xml_tree(part), "style"):
        names = (style.get("name", ""), style.get("engName", ""))
        found = next(filter(None, map(_OUTLINE_STYLE.fullmatch, names)), None)
        if found:
            levels[style.get("id", "")] = min(int(found[1]), 9)
    return levels


def _title(archive: Archive) -> str:
    part = archive.read(_PACKAGE)
    node = next(_descendants(xml_tree(part), "title"), None) if part else None
    return single_line(node.text or "") if node is not None else ""


class _Reader:
    """Adds paragraphs and what is anchored in them to a builder, in the order of the document."""

    def __init__(self, builder: ParsedBuilder, levels: dict[str, int]) -> None:
        self.builder = builder
        self._levels = levels

    def add_margins(self, trees: list[etree._Element]) -> None:
        """Add the texts of headers, then of footers, each once."""
        texts: dict[str, None] = {}
        for kind in _MARGINS:
            for tree in trees:
                for margin in _descendants(tree, kind):
                    texts.update(dict.fromkeys(_texts(margin)))
        for text in texts:
            self.builder.add(text)

    def add_paragraph(self, paragraph: etree._Element) -> None:
        """Add a paragraph, then its tables and text boxes, then its notes."""
        text = _text(paragraph)
        level = self._levels.get(paragraph.get("styleIDRef", ""), 0)
        if level and text.strip():
            self.builder.add(" ".join(text.split()), Kind.HEADING, level)
        else:
            self.builder.add(text)
        for node in _anchored(paragraph):
            for caption in _descendants(node, "caption"):
                if _is_inside(caption, node, ("drawText", "tc", "caption", *_NOTES)):
                    continue
                self.builder.add("\n".join(_texts(caption)))
            if _name(node) == "tbl":
                self.builder.add(table_text(grid_rows(_cells(node))), Kind.LINES)
            else:
                self._add_boxes(node)
        for note in _notes(paragraph):
            self.builder.add("\n".join(_texts(note)))

    def _add_boxes(self, node: etree._Element) -> None:
        """Add the paragraphs of a drawn object's text boxes; a box within one comes with its paragraph."""
        for box in _descendants(node, "drawText"):
            if _is_inside(box, node, ("drawText",)):
                continue
            for inner in _children(box, "subList"):
                for one in _children(inner, "p"):
                    self.add_paragraph(one)


def _notes(paragraph: etree._Element) -> Iterator[etree._Element]:
    """Footnotes and endnotes of the paragraph and of its tables; those in text boxes have paragraphs there."""
    for node in paragraph.iterdescendants():
        if _name(node) in _NOTES and not _is_inside(node, paragraph, ("drawText", *_NOTES)):
            yield node


def _is_inside(node: etree._Element, outer: etree._Element, names: Sequence[str]) -> bool:
    """Whether an element of these names is between the node and the outer one."""
    for ancestor in node.iterancestors():
        if ancestor is outer:
            return False
        if _name(ancestor) in names:
            return True
    return False


def _anchored(paragraph: etree._Element) -> Iterator[etree._Element]:
    """Tables and drawn objects of the paragraph's own runs."""
    for run in _children(paragraph, "run"):
        for node in run.iterchildren():
            inside = ("drawText", "caption")
            if _name(node) == "tbl" or any(_name(one) in inside for one in node.iterdescendants()):
                yield node


def _texts(node: etree._Element) -> list[str]:
    """The texts of all paragraphs below the element, those of tables in it as well, without notes in it."""
    found = (
        " ".join(_text(paragraph).split())
        for paragraph in _descendants(node, "p")
        if not _is_inside(paragraph, node, _NOTES)
    )
    return [text for text in found if text]


def _text(paragraph: etree._Element) -> str:
    """The paragraph's own text with all tracked changes accepted.

    That of tables, notes and boxes that are anchored in it is left out.
    """
    pieces: list[str] = []
    deleted = False
    for run in _children(paragraph, "run"):
        for node in run.iterchildren():
            if _name(node) != "t":
                pieces += [] if deleted else _spoken(node)
                continue
            if not deleted:
                pieces.append(node.text or "")
            for child in node.iterchildren():
                deleted = _DELETION.get(_name(child), deleted)
                if not deleted:
                    pieces += _BREAKS.get(_name(child), ""), child.tail or ""
    return "".join(pieces)


def _spoken(node: etree._Element) -> list[str]:
    """What an equation, a character composed of others, or a text with a gloss above it says."""
    match _name(node):
        case "equation":
            return [one.text or "" for one in _children(node, "script")]
        case "compose":
            return [node.get("composeText", "")]
        case "dutmal":
            return [one.text or "" for one in node.iterchildren() if _name(one).endswith("Text")]
    return []


def _cells(table: etree._Element) -> Iterator[Cell]:
    for row in _children(table, "tr"):
        for cell in _children(row, "tc"):
            address = next(_children(cell, "cellAddr"), None)
            span = next(_children(cell, "cellSpan"), None)
            yield Cell(
                _number(address, "rowAddr"),
                _number(address, "colAddr"),
                max(_number(span, "rowSpan", 1), 1),
                max(_number(span, "colSpan", 1), 1),
                " ".join(_texts(cell)),
            )


def _number(node: etree._Element | None, name: str, default: int = 0) -> int:
    value = node.get(name, "") if node is not None else ""
    return int(value) if value.isascii() and value.isdigit() else default
