"""Parses DOCX: paragraphs, headings, lists, tables, notes and headers of a WordprocessingML document."""

import re
from collections.abc import Callable, Mapping, Sequence

from lxml import etree

from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.archive import Archive, opened, xml_tree
from rag_ingestor.parsing.docx_numbering import Numbering
from rag_ingestor.parsing.parsed import (
    DOCX,
    Kind,
    Limits,
    Parsed,
    ParsedBuilder,
    single_line,
)
from rag_ingestor.parsing.tables import table_text
from rag_ingestor.parsing.wordml import W, inherited, val_of

DOCUMENT = "word/document.xml"


def parse(content: bytes, limits: Limits) -> Parsed:
    """The text with all tracked changes accepted, as Word shows it: with the numbers of lists and articles.

    Headers and footers stand before the text, once each; a note stands after its paragraph. Comments are left
    out. Reads only the parts that contain text, so images are never unpacked.
    """
    with opened(content, limits, reasons.BROKEN_DOCX) as archive:
        return _parsed(_parts(archive), limits)


_STYLES = "word/styles.xml"
_NUMBERING = "word/numbering.xml"
_NOTES = {"footnote": "word/footnotes.xml", "endnote": "word/endnotes.xml"}
_MARGINS = re.compile(r"word/(?:header|footer)\d*\.xml")
_MAX_MARGINS = 64
_PROPERTIES = "docProps/core.xml"

_STRICT_W = b"http://purl.oclc.org/ooxml/wordprocessingml/main"
_DROPPED = (
    f"{W}del",
    f"{W}moveFrom",
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
)
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_P, _TBL, _TR, _TC, _T = (f"{W}{name}" for name in ("p", "tbl", "tr", "tc", "t"))
_TABS = f"{W}tabs"
_SPACES = {f"{W}tab": " ", f"{W}br": "\n", f"{W}cr": "\n", f"{W}noBreakHyphen": "-"}
_HEADING = re.compile(r"heading ([1-9])", re.IGNORECASE)
_TITLE_STYLE = "title"
_PAGE_FIELD = re.compile(r"\b(?:PAGE|NUMPAGES|SECTIONPAGES)\b", re.IGNORECASE)
_NUMBER_ALONE = re.compile(r"[-–— ]*\d+[-–— ]*(?:/ *\d+)?")


def _parts(archive: Archive) -> dict[str, bytes]:
    """The parts that contain text."""
    margins = sorted(filter(_MARGINS.fullmatch, archive.names), reverse=True)[:_MAX_MARGINS]
    names = (DOCUMENT, _STYLES, _NUMBERING, *_NOTES.values(), _PROPERTIES, *margins)
    read = {name: archive.read(name) for name in names}
    return {name: part for name, part in read.items() if part is not None}


def _parsed(parts: Mapping[str, bytes], limits: Limits) -> Parsed:
    trees = {name: _accepted(part) for name, part in parts.items()}
    reader = _Reader(trees, ParsedBuilder(limits))
    for text in _margin_texts(trees):
        reader.builder.add(text)
    for node in trees[DOCUMENT].iter(_P, _TBL):
        if next(node.iterancestors(_TBL), None) is None:
            reader.add(node)
    title_node = trees[_PROPERTIES].find(_TITLE) if _PROPERTIES in trees else None
    title = single_line(title_node.text or "") if title_node is not None else ""
    return reader.builder.parsed(reader.title or title, DOCX)


def _accepted(part: bytes) -> etree._Element:
    """A part with all tracked changes accepted."""
    # The strict variant of the format differs only in its namespaces.
    tree = xml_tree(part.replace(_STRICT_W, W[1:-1].encode()))
    etree.strip_elements(tree, *_DROPPED, with_tail=False)
    return tree


def _margin_texts(trees: Mapping[str, etree._Element]) -> list[str]:
    """The texts of headers, then of footers, each once; what changes from page to page is left out."""
    texts: dict[str, None] = {}
    for name in sorted(filter(_MARGINS.fullmatch, trees), key=lambda name: "footer" in name):
        for paragraph in trees[name].iter(_P):
            if not _is_page_number(paragraph):
                texts[" ".join(_text(paragraph).split())] = None
    return list(texts)


def _is_page_number(paragraph: etree._Element) -> bool:
    """Whether a paragraph of a header has a field such as PAGE, or nothing but a number."""
    codes = [node.text or "" for node in paragraph.iter(f"{W}instrText")]
    codes += [node.get(f"{W}instr", "") for node in paragraph.iter(f"{W}fldSimple")]
    return (
        any(map(_PAGE_FIELD.search, codes))
        or _NUMBER_ALONE.fullmatch(_text(paragraph).strip()) is not None
    )


def _heading_levels(styles: etree._Element) -> dict[str, int]:
    """The heading level of each paragraph style, by its name, outline level or parent style."""
    own = {
        style.get(f"{W}styleId", ""): level
        for style in styles.iter(f"{W}style")
        if (level := _level(style))
    }
    return inherited(styles, own)


def _level(style: etree._Element) -> int:
    named = _HEADING.fullmatch(val_of(style.find(f"{W}name")))
    return int(named[1]) if named else _outline_level(style)


def _outline_level(node: etree._Element) -> int:
    value = val_of(node.find(f"{W}pPr/{W}outlineLvl"))
    return int(value) + 1 if value in tuple("012345678") else 0


class _Reader:
    """Adds paragraphs and tables to a builder, in the order of the document.

    `title` is the text of the first paragraph with Word's style Title, empty if there is none.
    """

    def __init__(self, trees: Mapping[str, etree._Element], builder: ParsedBuilder) -> None:
        self.builder = builder
        self.title = ""
        styles = trees.get(_STYLES)
        self._levels = _heading_levels(styles) if styles is not None else {}
        self._titles = _title_styles(styles) if styles is not None else set()
        self._numbering = Numbering(trees.get(_NUMBERING), styles)
        self._notes = {
            kind: {note.get(f"{W}id", ""): note for note in trees[name].iter(f"{W}{kind}")}
            for kind, name in _NOTES.items()
            if name in trees
        }

    def add(self, node: etree._Element) -> None:
        """Add a paragraph or a table, and then the notes that it refers to."""
        if node.tag == _TBL:
            self.builder.add(table_text(*_rows(node, self._labelled)), Kind.LINES)
        else:
            self._add_paragraph(node)
        for kind, notes in self._notes.items():
            for reference in node.iter(f"{W}{kind}Reference"):
                # A note is shown once, where it is referred to first.
                note = notes.pop(reference.get(f"{W}id", ""), None)
                if note is not None:
                    self.builder.add("\n".join(map(_text, note.iter(_P))))

    def _labelled(self, node: etree._Element) -> str:
        """The text of a paragraph of a table with its number."""
        label, text = self._numbering.label(node, _style(node)), _text(node)
        return f"{label}{text}" if text.strip() else ""

    def _add_paragraph(self, node: etree._Element) -> None:
        style, text = _style(node), _text(node)
        label = self._numbering.label(node, style)
        level = _outline_level(node) or self._levels.get(style, 0)
        if not text.strip():
            return
        if style in self._titles and not self.title:
            self.title, level = single_line(text), 1
        if level:
            # A bullet before a heading is an ornament.
            number = "" if label == "- " else label
            self.builder.add(" ".join(f"{number}{text}".split()), Kind.HEADING, level)
        else:
            self.builder.add(f"{label}{text}")


def _style(paragraph: etree._Element) -> str:
    return val_of(paragraph.find(f"{W}pPr/{W}pStyle"))


def _title_styles(styles: etree._Element) -> set[str]:
    """The ids of Word's style Title, whose name is English in every language of Word."""
    return {
        style.get(f"{W}styleId", "")
        for style in styles.iter(f"{W}style")
        if val_of(style.find(f"{W}name")).lower() == _TITLE_STYLE
    }


def _rows(
    table: etree._Element, text_of: Callable[[etree._Element], str]
) -> tuple[list[list[str]], bool | None]:
    """A table's cells, merged ones repeated in each row and column, and whether it has a header."""
    rows: list[list[str]] = []
    head = None
    for node in table.iter(_TR):
        if next(node.iterancestors(_TBL)) is not table:
            continue
        if not rows and node.find(f"{W}trPr/{W}tblHeader") is not None:
            head = True
        rows.append(_row(node, rows[-1] if rows else (), text_of))
    return rows, head


def _row(
    row: etree._Element, above: Sequence[str], text_of: Callable[[etree._Element], str]
) -> list[str]:
    cells: list[str] = []
    for cell in row.iterchildren(_TC):
        properties = cell.find(f"{W}tcPr")
        text = " ".join(" ".join(map(text_of, cell.iter(_P))).split())
        if _continues(properties) and len(cells) < len(above):
            text = above[len(cells)]
        cells += [text] * _span(properties)
    return cells


def _continues(properties: etree._Element | None) -> bool:
    """Whether the cell continues the one above: a vMerge whose value is not "restart"."""
    merge = properties.find(f"{W}vMerge") if properties is not None else None
    return merge is not None and val_of(merge) != "restart"


def _span(properties: etree._Element | None) -> int:
    """The number of columns that the cell spans, at most Word's limit of 63."""
    value = val_of(properties.find(f"{W}gridSpan")) if properties is not None else ""
    return min(63, int(value)) if value.isascii() and value.isdigit() and int(value) else 1


def _text(paragraph: etree._Element) -> str:
    """The paragraph's own text, without paragraphs of text boxes inside it, which are separate."""
    return "".join(
        node.text or "" if node.tag == _T else _SPACES[str(node.tag)]
        for node in paragraph.iter(_T, *_SPACES)
        if next(node.iterancestors(_P)) is paragraph and next(node.iterancestors()).tag != _TABS
    )
