"""PDF: the text layer of each page, with the headings that the outline names."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice

import pypdfium2 as pdfium  # type: ignore[import-untyped]
import pypdfium2.raw as pdfium_c  # type: ignore[import-untyped]

from rag_retriever.formats import reasons
from rag_retriever.formats.parsed import PDF, Draft, Kind, Limits, Parsed, refused, squeezed


def parse(content: bytes, limits: Limits) -> Parsed:
    """The text page by page; a page without text is an empty page in the map.

    A document that only restricts its use (an owner password) is read; one that needs a password
    to open is refused, and so is one with no text at all.
    """
    with closing(_opened(content)) as document:
        if len(document) > limits.max_pages:
            raise refused(reasons.TOO_MANY_PAGES)
        draft = Draft(limits)
        outline = _outline(document)
        broken = 0
        for index in range(len(document)):
            try:
                _add_page(draft, _page_text(document, index), outline.get(index, ()))
            except pdfium.PdfiumError:
                broken += 1
            draft.end_page(index + 1)
        parsed = draft.parsed(squeezed(document.get_metadata_value("Title")), PDF)
    if not parsed.text:
        raise refused(reasons.BROKEN_PDF if broken else reasons.SCANNED)
    return parsed


# An outline may be endless or name one place many times over.
_MAX_BOOKMARKS = 5000
_LINE_END = re.compile(r"\r\n|\r")
# PDFium marks the hyphen that it found at the end of a line with one of these.
_HYPHEN = re.compile("[\x02\ufffe\xad]\n?")
_SPACED_BREAK = re.compile(r"[^\s][ \u00a0]+\n")
_BROKEN_WORD = re.compile(r"(?<=[가-힣])\n(?=[가-힣])")

Bookmark = tuple[int, str]


def _opened(content: bytes) -> pdfium.PdfDocument:
    try:
        return pdfium.PdfDocument(content)
    except pdfium.PdfiumError as error:
        protected = error.err_code in (pdfium_c.FPDF_ERR_PASSWORD, pdfium_c.FPDF_ERR_SECURITY)
        raise refused(reasons.ENCRYPTED if protected else reasons.BROKEN_PDF) from error


def _page_text(document: pdfium.PdfDocument, index: int) -> str:
    with closing(document[index]) as page, closing(page.get_textpage()) as textpage:
        return _rejoined(_LINE_END.sub("\n", textpage.get_text_range()))


def _rejoined(text: str) -> str:
    """The page with hyphenated words whole, and words broken without a hyphen where that shows.

    Korean text may be broken within a word. Where a page keeps the spaces at its line ends, a
    line end without one lies within a word; other pages do not tell, and keep their line breaks.
    """
    text = _HYPHEN.sub("", text)
    if len(_SPACED_BREAK.findall(text)) * 5 > text.count("\n"):
        return _BROKEN_WORD.sub("", text)
    return text


def _outline(document: pdfium.PdfDocument) -> Mapping[int, Sequence[Bookmark]]:
    """The bookmarks of each page index: level from 1 and title."""
    pages: dict[int, list[Bookmark]] = defaultdict(list)
    for bookmark in islice(document.get_toc(), _MAX_BOOKMARKS):
        target = bookmark.get_dest()
        title = squeezed(bookmark.get_title())
        index = target.get_index() if target else None
        if title and index is not None:
            pages[index].append((bookmark.level + 1, title))
    return pages


def _add_page(draft: Draft, text: str, bookmarks: Sequence[Bookmark]) -> None:
    for kind, level, piece in _pieces(text, bookmarks):
        draft.add(piece, kind, level)


def _pieces(text: str, bookmarks: Sequence[Bookmark]) -> Iterator[tuple[Kind, int, str]]:
    """The page cut at the lines that are, but for white space, the title of a bookmark."""
    levels = {"".join(title.split()): level for level, title in bookmarks}
    body: list[str] = []
    for line in text.split("\n"):
        level = levels.pop("".join(line.split()), 0) if levels else 0
        if level:
            yield Kind.TEXT, 0, "\n".join(body)
            yield Kind.HEADING, level, line
            body = []
        else:
            body.append(line)
    yield Kind.TEXT, 0, "\n".join(body)
