"""Parses PPTX: each slide with its title, texts and tables in reading order, and its notes."""

import io
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pptx
from lxml import etree
from pptx.enum.shapes import MSO_SHAPE_TYPE
from pptx.exc import PackageNotFoundError

from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.archive import opened
from rag_ingestor.parsing.grid import Cell, grid_rows
from rag_ingestor.parsing.parsed import PPTX, Kind, Limits, Parsed, ParsedBuilder, content_error
from rag_ingestor.parsing.tables import table_text

_TEXT = "{http://schemas.openxmlformats.org/drawingml/2006/main}t"
_PARAGRAPH = "{http://schemas.openxmlformats.org/drawingml/2006/main}p"
_DIAGRAM = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/diagramData"
# PowerPoint nests groups without a limit.
_MAX_DEPTH = 32


def parse(content: bytes, limits: Limits) -> Parsed:
    """The slides, whose numbers are pages. Hidden slides are read too; masters are not, as they repeat.

    A slide with pictures but no text is noted as unread. Raises InvalidArgument.
    """
    with opened(content, limits, reasons.BROKEN_PPTX):
        try:
            presentation = pptx.Presentation(io.BytesIO(content))
            slides = list(presentation.slides)
            if len(slides) > limits.max_pages:
                raise content_error(reasons.TOO_MANY_PAGES)
            builder = ParsedBuilder(limits)
            pictures = [
                number
                for number, slide in enumerate(slides, 1)
                if not _add_slide(builder, slide, number) and _has_picture(slide)
            ]
        except (PackageNotFoundError, KeyError, AttributeError, etree.XMLSyntaxError) as error:
            raise content_error(reasons.BROKEN_PPTX) from error
    if pictures:
        builder.skip(reasons.SLIDE_WITHOUT_TEXT, pictures)
    return builder.parsed(presentation.core_properties.title or "", PPTX)


def _add_slide(builder: ParsedBuilder, slide: Any, number: int) -> bool:
    """Add a slide; returns whether it has any text."""
    title = slide.shapes.title
    heading = " ".join(title.text_frame.text.split()) if title is not None else ""
    builder.add(heading, Kind.HEADING, 1)
    blocks = list(chain.from_iterable(_blocks(shape) for shape in _shapes(slide.shapes, title)))
    for text, kind in blocks:
        builder.add(text, kind)
    notes = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
    builder.add(notes.text if notes is not None else "")
    builder.end_page(number)
    return bool(heading or any(text.strip() for text, _ in blocks))


def _shapes(shapes: Any, title: Any, depth: int = 0) -> Iterator[Any]:
    """The shapes from top to bottom, then left to right; those of groups in their group's place."""
    for shape in sorted(shapes, key=lambda one: (one.top or 0, one.left or 0)):
        if title is not None and shape.shape_id == title.shape_id and depth == 0:
            continue
        if shape.shape_type == MSO_SHAPE_TYPE.GROUP and depth < _MAX_DEPTH:
            yield from _shapes(shape.shapes, None, depth + 1)
        else:
            yield shape


def _blocks(shape: Any) -> Iterator[tuple[str, Kind]]:
    if shape.has_text_frame:
        yield "\n".join(filter(None, (one.text for one in shape.text_frame.paragraphs))), Kind.TEXT
    elif getattr(shape, "has_table", False):
        yield table_text(grid_rows(_cells(shape.table))), Kind.LINES
    elif getattr(shape, "has_chart", False):
        yield from _chart(shape.chart)
    else:
        yield "\n".join(_diagram(shape)), Kind.TEXT


def _cells(table: Any) -> Iterator[Cell]:
    for row in range(len(table.rows)):
        for column in range(len(table.columns)):
            cell = table.cell(row, column)
            if cell.is_spanned:
                continue
            high, wide = (cell.span_height, cell.span_width) if cell.is_merge_origin else (1, 1)
            yield Cell(row, column, high, wide, " ".join(cell.text.split()))


def _chart(chart: Any) -> Iterator[tuple[str, Kind]]:
    """A chart's title, and its figures as a table with a row for each category."""
    if chart.has_title and chart.chart_title.has_text_frame:
        yield chart.chart_title.text_frame.text, Kind.TEXT
    for plot in chart.plots:
        names = ["", *(series.name for series in plot.series)]
        values = [list(series.values) for series in plot.series]
        rows = [
            [
                str(label),
                *("" if at >= len(one) or one[at] is None else f"{one[at]:g}" for one in values),
            ]
            for at, label in enumerate(plot.categories)
        ]
        yield table_text([names, *rows], head=True), Kind.LINES


def _diagram(shape: Any) -> Iterator[str]:
    """The texts of a SmartArt diagram, which are in a part of their own."""
    for identity in shape._element.xpath(".//@r:dm"):
        part = shape.part.related_part(identity)
        for paragraph in etree.fromstring(part.blob).iter(_PARAGRAPH):
            text = "".join(node.text or "" for node in paragraph.iter(_TEXT))
            if text.strip():
                yield text


def _has_picture(slide: Any) -> bool:
    return any(shape.shape_type == MSO_SHAPE_TYPE.PICTURE for shape in _shapes(slide.shapes, None))
