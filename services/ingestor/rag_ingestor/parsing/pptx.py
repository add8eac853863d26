"""Parses PPTX: each slide with its title, texts and tables in reading order, and its notes."""

import io
from collections.abc import Iterator
from typing import Any

import pptx
from lxml import etree
from pptx.enum.shapes import PP_PLACEHOLDER
from pptx.exc import InvalidXmlError as XmlError
from pptx.shapes.group import GroupShape

from rag_contract.errors import InvalidArgument
from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.archive import opened, xml_tree
from rag_ingestor.parsing.grid import Cell, grid_rows
from rag_ingestor.parsing.parsed import (
    PPTX,
    Kind,
    Limits,
    Parsed,
    ParsedBuilder,
    content_error,
    single_line,
)
from rag_ingestor.parsing.tables import table_text
from rag_ingestor.parsing.values import number_text

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_NUMBERS = (f"{_C}numCache", f"{_C}numLit")
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
# Placeholders whose text is the same or counted on every slide.
_RUNNING = (PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.FOOTER)
# PowerPoint nests groups without a limit.
_MAX_DEPTH = 32


def parse(content: bytes, limits: Limits) -> Parsed:
    """The slides, whose numbers are pages. Hidden slides are read too; masters are not, as they repeat.

    A slide with pictures but no text, and one with a shape that cannot be read, is noted. Raises
    InvalidArgument.
    """
    with opened(content, limits, reasons.BROKEN_PPTX):
        presentation = pptx.Presentation(io.BytesIO(content))
        slides = list(presentation.slides)
        title = single_line(presentation.core_properties.title or "")
    if len(slides) > limits.max_pages:
        raise content_error(reasons.TOO_MANY_PAGES)
    builder = ParsedBuilder(limits)
    pictures, damaged = [], []
    for number, slide in enumerate(slides, 1):
        reader = _SlideReader(builder, slide)
        reader.read()
        builder.end_page(number)
        if reader.damaged:
            damaged.append(number)
        elif not reader.has_text and _has_picture(slide):
            pictures.append(number)
    for reason, numbers in (
        (reasons.SLIDE_WITHOUT_TEXT, pictures),
        (reasons.SHAPE_UNREAD, damaged),
    ):
        if numbers:
            builder.skip(reason, numbers)
    return builder.parsed(title, PPTX)


class _SlideReader:
    """Adds a slide to a builder; `has_text` and `damaged` say whether it has text and unreadable shapes."""

    def __init__(self, builder: ParsedBuilder, slide: Any) -> None:
        self._builder = builder
        self._slide = slide
        self.has_text = False
        self.damaged = False

    def read(self) -> None:
        """Add the title, the other shapes in reading order, and the notes."""
        title = self._slide.shapes.title
        if title is not None:
            self._add(" ".join(title.text_frame.text.split()), Kind.HEADING, 1)
        for shape in _shapes(self._slide.shapes):
            if title is not None and shape._element is title._element:
                continue
            self._add_shape(shape)
        for element in self._slide.shapes._spTree.iter(f"{_MC}AlternateContent"):
            choice = next(element.iterchildren(), None)
            self._add("\n".join(_paragraphs(choice)) if choice is not None else "", Kind.TEXT)
        if self._slide.has_notes_slide and self._slide.notes_slide.notes_text_frame is not None:
            self._builder.add(_lines(self._slide.notes_slide.notes_text_frame))

    def _add_shape(self, shape: Any) -> None:
        try:
            for text, kind in _blocks(shape):
                self._add(text, kind)
        except InvalidArgument:
            raise
        except _DAMAGE:
            self.damaged = True

    def _add(self, text: str, kind: Kind, level: int = 0) -> None:
        self.has_text = self.has_text or bool(text.strip())
        self._builder.add(text, kind, level)


# What python-pptx raises for elements that lack what it expects.
_DAMAGE = (
    KeyError,
    AttributeError,
    ValueError,
    IndexError,
    TypeError,
    NotImplementedError,
    XmlError,
)


def _shapes(shapes: Any, depth: int = 0) -> Iterator[Any]:
    """The shapes from top to bottom, then left to right; those of groups in their group's place."""
    for shape in sorted(shapes, key=_place):
        if isinstance(shape, GroupShape) and depth < _MAX_DEPTH:
            yield from _shapes(shape.shapes, depth + 1)
        elif not (shape.is_placeholder and shape.placeholder_format.type in _RUNNING):
            yield shape


def _place(shape: Any) -> tuple[int, int]:
    try:
        return shape.top or 0, shape.left or 0
    except _DAMAGE:
        return 0, 0


def _blocks(shape: Any) -> Iterator[tuple[str, Kind]]:
    if shape.has_text_frame:
        yield _lines(shape.text_frame), Kind.TEXT
    elif getattr(shape, "has_table", False):
        yield table_text(grid_rows(_cells(shape.table))), Kind.LINES
    elif getattr(shape, "has_chart", False):
        yield from _chart(shape.chart._chartSpace)
    else:
        yield "\n".join(_diagram(shape)), Kind.TEXT


def _lines(frame: Any) -> str:
    """The paragraphs of a text frame; a line break within one is a vertical tab."""
    return "\n".join(filter(None, (one.text.replace("\v", "\n") for one in frame.paragraphs)))


def _cells(table: Any) -> Iterator[Cell]:
    for at, row in enumerate(table.rows):
        for column, cell in enumerate(row.cells):
            if cell.is_spanned:
                continue
            high, wide = (cell.span_height, cell.span_width) if cell.is_merge_origin else (1, 1)
            yield Cell(at, column, high, wide, " ".join(cell.text.split()))


def _chart(space: etree._Element) -> Iterator[tuple[str, Kind]]:
    """A chart's title, and its figures as a table with a row for each category, of whatever kind it is."""
    title = space.find(f"{_C}chart/{_C}title")
    if title is not None:
        yield "\n".join(_paragraphs(title)), Kind.TEXT
    for plot in space.iterfind(f"{_C}chart/{_C}plotArea/*"):
        series = plot.findall(f"{_C}ser")
        if not series:
            continue
        labels = _points(series[0], "cat", "xVal")
        values = [_points(one, "val", "yVal") for one in series]
        names = ["", *(" ".join(_points(one, "tx").values()) for one in series)]
        rows = [
            [labels.get(at, str(at + 1)), *(one.get(at, "") for one in values)]
            for at in sorted({at for one in values for at in one} | labels.keys())
        ]
        yield table_text([names, *rows], head=True), Kind.LINES


def _points(series: etree._Element, *names: str) -> dict[int, str]:
    """The stored values of a part of a series, by their index; of labels of several levels the lowest."""
    found: dict[int, str] = {}
    for name in names:
        for cache in series.iterfind(f"{_C}{name}//{_C}pt/.."):
            write = number_text if cache.tag in _NUMBERS else _one_line
            for point in cache.iterfind(f"{_C}pt"):
                index = int(point.get("idx", "0"))
                found.setdefault(index, write(point.findtext(f"{_C}v") or ""))
    return found


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _diagram(shape: Any) -> Iterator[str]:
    """The texts of a SmartArt diagram, which are in a part of their own."""
    for identity in shape._element.xpath(".//@r:dm"):
        yield from _paragraphs(xml_tree(shape.part.related_part(identity).blob))


def _paragraphs(node: etree._Element) -> Iterator[str]:
    for paragraph in node.iter(f"{_A}p"):
        text = "".join(one.text or "" for one in paragraph.iter(f"{_A}t"))
        if text.strip():
            yield text


def _has_picture(slide: Any) -> bool:
    return next(slide.shapes._spTree.iter(f"{_A}blip"), None) is not None
