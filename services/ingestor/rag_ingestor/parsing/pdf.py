"""Parses PDF: the text layer of each page, with headings from the outline."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

import pypdfium2 as pdfium  # type: ignore[import-untyped]
import pypdfium2.raw as pdfium_c  # type: ignore[import-untyped]

from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.image import pgm
from rag_ingestor.parsing.parsed import (
    PDF,
    Kind,
    Limits,
    Parsed,
    ParsedBuilder,
    content_error,
    single_line,
)
from rag_ingestor.parsing.pdf_columns import MIN_STRIP, Segment, SplitLine, in_reading_order
from rag_ingestor.parsing.pdf_tables import cells_from_line, tables, with_header_row
from rag_ingestor.parsing.running_lines import PlacedLine, without_running_lines
from rag_ingestor.parsing.tables import table_text


def parse(content: bytes, limits: Limits, recognised: Mapping[int, str] | None = None) -> Parsed:
    """The text page by page, without running headers, footers and page numbers.

    A page without text, or whose fonts do not say which characters they show, is empty and noted as unread,
    unless nothing is drawn on it. A sentence
    that runs over a page stays whole. A document that only restricts its use (owner password) is parsed.
    Raises InvalidArgument for one that requires a password to open, and for one without any text, unless
    `recognised` is empty; else it has the text of pages that cannot be read, by number.
    """
    with closing(_open_document(content)) as document:
        if len(document) > limits.max_pages:
            raise content_error(reasons.TOO_MANY_PAGES)
        builder = ParsedBuilder(limits)
        outline = _outline(document)
        pages = [_read_page(document, index) for index in range(len(document))]
        tried = recognised or {}
        found = [
            at for at, page in enumerate(pages, 1) if page.fault in _RECOGNISABLE and at in tried
        ]
        for at in found:
            pages[at - 1] = _recognised_page(tried[at])
        columns = _Columns()
        for index, lines in enumerate(without_running_lines([page.lines for page in pages])):
            text = _rejoin_words("\n".join(line.text for line in lines))
            named = columns.named(text, pages[index].tables)
            _add_page(builder, named, outline.get(index, ()))
            builder.end_page(index + 1)
        for reason in (_NO_TEXT, reasons.UNREADABLE_FONT, reasons.BROKEN_PDF):
            numbers = [at for at, page in enumerate(pages, 1) if page.fault == reason]
            if numbers:
                builder.skip(_UNREAD[reason], numbers)
        builder.note_recognised(tried, found)
        parsed = builder.parsed(single_line(document.get_metadata_value("Title")), PDF)
    if not parsed.text and (recognised or not parsed.unread or recognised is None):
        if recognised:
            raise content_error(reasons.NOTHING_RECOGNISED)
        raise content_error(_why_empty({page.fault for page in pages}))
    return parsed


# An outline may be cyclic or contain one target many times.
_MAX_BOOKMARKS = 5000
_CHARACTERS_LOOKED_AT = 300
_LINE_END = re.compile(r"\r\n|\r|\n")
# PDFium replaces a hyphen at the end of a line by one of these.
_HYPHEN = re.compile("[\x02\ufffe\xad]\n?")
_WORD = re.compile(r"\S+")
_SPACED_BREAK = re.compile(r"[^\s][ \u00a0]+\n")
# A page that begins like this does not begin with the rest of a sentence: an article, an item, a bracket.
_BEGINNING = re.compile(
    r"제 ?\d+ ?[조장절항관편]|[(\[]?[\dⅠ-ⅻ]+[.)\]]|[가-하][.)]|[①-⑳•▪■□○●◦※*·(\[-]"
)
_BROKEN_WORD = re.compile(r"(?<=[가-힣])\n(?=[가-힣])")

_DOTS = 300
# Pixels; A3 at 300 dots an inch has 4,961.
_LONGEST_SIDE = 6000
# A page's fault, and what is noted of it if other pages could be read.
_NO_TEXT = "no text"
_UNREAD = {
    _NO_TEXT: reasons.PAGE_WITHOUT_TEXT,
    reasons.UNREADABLE_FONT: reasons.PAGE_UNREADABLE_FONT,
    reasons.BROKEN_PDF: reasons.PAGE_BROKEN,
}

_RECOGNISABLE = tuple(fault for fault, said in _UNREAD.items() if said in reasons.RECOGNISABLE)

Bookmark = tuple[int, str]


def _open_document(content: bytes) -> pdfium.PdfDocument:
    try:
        return pdfium.PdfDocument(content)
    except pdfium.PdfiumError as error:
        protected = error.err_code in (pdfium_c.FPDF_ERR_PASSWORD, pdfium_c.FPDF_ERR_SECURITY)
        raise content_error(reasons.ENCRYPTED if protected else reasons.BROKEN_PDF) from error


@dataclass(frozen=True, slots=True)
class _Page:
    """A page's lines and its tables; `fault` is the reason, a key of _UNREAD, if it could not be read."""

    lines: list[PlacedLine] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)
    fault: str = ""


def _read_page(document: pdfium.PdfDocument, index: int) -> _Page:
    try:
        with closing(document[index]) as page, closing(page.get_textpage()) as textpage:
            if _is_garbled(textpage):
                return _Page(fault=reasons.UNREADABLE_FONT)
            if not textpage.get_text_range().strip():
                return _Page(fault=_NO_TEXT if _is_drawn_on(page) else "")
            lines = _placed_lines(textpage)
            try:
                return _Page(lines, tables(textpage))
            except pdfium.PdfiumError:  # The text is available, only its positions are not.
                return _Page(lines)
    except pdfium.PdfiumError:
        return _Page(fault=reasons.BROKEN_PDF)


def _recognised_page(text: str) -> _Page:
    return _Page([PlacedLine(line, 0.0) for line in text.splitlines()])


def render(content: bytes, page: int) -> bytes:
    """A page, from 1, in grey as PGM, at 300 dots an inch if it is not too large. Raises InvalidArgument."""
    with closing(_open_document(content)) as document:
        try:
            with closing(document[page - 1]) as drawn:
                scale = min(_DOTS / 72, _LONGEST_SIDE / max(*drawn.get_size(), 1.0))
                bitmap = drawn.render(scale=scale, grayscale=True)
                rows, stride = bytes(bitmap.buffer), bitmap.stride
                width, height = bitmap.width, bitmap.height
        except pdfium.PdfiumError as error:
            raise content_error(reasons.BROKEN_PDF) from error
    pixels = b"".join(rows[at * stride : at * stride + width] for at in range(height))
    return pgm(width, height, pixels)


def _placed_lines(textpage: pdfium.PdfTextPage) -> list[PlacedLine]:
    """The lines of the page in reading order, with their places."""
    text: str = textpage.get_text_range()
    if len(text) != textpage.count_chars():
        # Without one character of the text for each of the page, the places are not known.
        return [PlacedLine(line, 0.0) for line in _LINE_END.split(text)]
    lines = []
    first = 0
    for end in (*(match.span() for match in _LINE_END.finditer(text)), (len(text), len(text))):
        lines.append(_split_line(textpage, text[first : end[0]], first))
        first = end[1]
    return in_reading_order(lines)


def _split_line(textpage: pdfium.PdfTextPage, line: str, first: int) -> SplitLine:
    """The line whose first character has this index, cut where there is a wide gap between words."""
    words = [(match.start(), match.end()) for match in _WORD.finditer(line)]
    if not words:
        return SplitLine((Segment(0, 0, line),), 0.0, 0.0)
    left, foot, _, head = textpage.get_charbox(first + words[0][0], loose=True)
    segments: list[Segment] = []
    start = words[0][0]
    for at, (_, stop) in enumerate(words):
        right = textpage.get_charbox(first + stop - 1, loose=True)[2]
        if at + 1 < len(words):
            after = textpage.get_charbox(first + words[at + 1][0], loose=True)[0]
            if after - right <= MIN_STRIP * (head - foot):
                continue
            segments.append(Segment(left, right, line[start:stop]))
            left, start = after, words[at + 1][0]
        else:
            segments.append(Segment(left, right, line[start:stop]))
    return SplitLine(tuple(segments), foot, head - foot)


def _is_garbled(textpage: pdfium.PdfTextPage) -> bool:
    """Whether a third of the characters have no known meaning: fonts without a map to Unicode."""
    count = min(textpage.count_chars(), _CHARACTERS_LOOKED_AT)
    unknown = sum(pdfium_c.FPDFText_HasUnicodeMapError(textpage, at) == 1 for at in range(count))
    return bool(unknown * 3 > count)


def _is_drawn_on(page: pdfium.PdfPage) -> bool:
    """Whether there is anything on the page, such as the image of a scanned one."""
    return next(iter(page.get_objects(max_depth=1)), None) is not None


def _why_empty(faults: Set[str]) -> str:
    """The reason why no page had text, from the reasons of the pages that could not be read."""
    for reason in (reasons.UNREADABLE_FONT, reasons.BROKEN_PDF):
        if reason in faults:
            return reason
    return reasons.SCANNED


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    row: bool = False
    """Whether this is a rewritten row of a table."""


class _Columns:
    """Replaces the lines of tables by rewritten rows; remembers the header for the next page."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def named(self, text: str, page_tables: list[list[list[str]]]) -> list[_Line]:
        """The lines of the page; those of a table with column names are rewritten row by row."""
        lines = [_Line(line) for line in text.split("\n")]
        at = 0
        for rows in page_tables:
            start = _place(lines, rows, at)
            below = lines[start : start + len(rows)] if start >= 0 else []
            cells = [
                cells_from_line(row, line.text) for row, line in zip(rows, below, strict=False)
            ]
            if len(cells) < len(rows) or None in cells:
                continue
            named = with_header_row([row for row in cells if row], self._names)
            if named is None:
                continue
            self._names = named[0]
            inner = [_Line(line, True) for line in table_text(named, head=True).split("\n")]
            lines[start : start + len(rows)] = inner
            at = start + len(inner)
        return lines


def _place(lines: Sequence[_Line], rows: Sequence[Sequence[str]], begin: int) -> int:
    """The index of the table's first line, or -1."""
    first = _bare("".join(rows[0]))
    places = (at for at in range(begin, len(lines)) if _bare(lines[at].text) == first)
    return next(places, -1)


def _bare(text: str) -> str:
    return "".join(text.split())


def _rejoin_words(text: str) -> str:
    """Rejoin hyphenated words, and words broken without a hyphen if that can be detected.

    Korean text may be broken within a word. If a page has spaces at its line ends, a line end without
    one is within a word; other pages keep their line breaks.
    """
    text = _HYPHEN.sub("", text)
    if len(_SPACED_BREAK.findall(text)) * 5 > text.count("\n"):
        return _BROKEN_WORD.sub("", text)
    return text


def _outline(document: pdfium.PdfDocument) -> Mapping[int, Sequence[Bookmark]]:
    """The bookmarks by page index: level from 1 and title."""
    pages: dict[int, list[Bookmark]] = defaultdict(list)
    for bookmark in islice(document.get_toc(), _MAX_BOOKMARKS):
        target = bookmark.get_dest()
        title = single_line(bookmark.get_title())
        index = target.get_index() if target else None
        if title and index is not None:
            pages[index].append((bookmark.level + 1, title))
    return pages


def _add_page(
    builder: ParsedBuilder, lines: Sequence[_Line], bookmarks: Sequence[Bookmark]
) -> None:
    first = True
    for kind, level, piece in _pieces(lines, bookmarks):
        if piece.strip():
            rest = first and not _BEGINNING.match(piece.lstrip())
            builder.add(piece, kind, level, continues=rest)
            first = False


def _pieces(
    lines: Sequence[_Line], bookmarks: Sequence[Bookmark]
) -> Iterator[tuple[Kind, int, str]]:
    """The page cut at its tables, and at lines that equal a bookmark's title, ignoring white space."""
    levels = {_bare(title): level for level, title in bookmarks}
    body: list[str] = []
    kind = Kind.TEXT
    for line in lines:
        level = 0 if line.row or not levels else levels.pop(_bare(line.text), 0)
        own = Kind.LINES if line.row else Kind.TEXT
        if level or own is not kind:
            yield kind, 0, "\n".join(body)
            body, kind = [], own
        if level:
            yield Kind.HEADING, level, line.text
        else:
            body.append(line.text)
    yield kind, 0, "\n".join(body)
