"""The result of parsing a document: its text in NFC, its blocks, and where they are in the file."""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from rag_contract.errors import FieldInvalid, FieldViolation, InvalidArgument
from rag_ingestor.parsing import reasons

PLAIN = "text/plain"
MARKDOWN = "text/markdown"
HTML = "text/html"
PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
XLS = "application/vnd.ms-excel"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
HWP = "application/x-hwp"
HWPX = "application/hwp+zip"
RTF = "application/rtf"
EML = "message/rfc822"
CSV = "text/csv"
PNG = "image/png"
JPEG = "image/jpeg"
TIFF = "image/tiff"
GIF = "image/gif"
BMP = "image/bmp"
WEBP = "image/webp"


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on a document: bytes uploaded and unpacked, pages, and code points of its text."""

    max_bytes: int = 20 * 1024 * 1024
    max_expanded: int = 64 * 1024 * 1024
    max_pages: int = 2000
    max_chars: int = 10_000_000


class Kind(StrEnum):
    """The kind of a block, which determines where it may be cut.

    HEADING: not at all. TEXT: between sentences. LINES: between lines.
    """

    HEADING = "heading"
    TEXT = "text"
    LINES = "lines"


@dataclass(frozen=True, slots=True)
class Block:
    """Code points [start, end) of the text; a heading has a `level` from 1, the highest, and its text."""

    start: int
    end: int
    kind: Kind = Kind.TEXT
    level: int = 0
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Code points [start, end) of the text, and where in the file they are.

    `page` is the page or slide, `row` the row of `sheet`, both from 1; `attachment` is the file name of a
    message's attachment. What a format does not have is 0 or empty.
    """

    start: int
    end: int
    page: int = 0
    sheet: str = ""
    row: int = 0
    attachment: str = ""


@dataclass(frozen=True, slots=True)
class Unread:
    """A part of a document that could not be read: a key of `reasons.UNREAD`, and its pages, from 1.

    `detail` names the part, if it is not a page.
    """

    reason: str
    pages: tuple[int, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document as text in NFC; blocks and places are in order and do not overlap.

    Offsets count code points of `text`. For plain text and Markdown it is the decoded source without
    its byte order mark, except that tables are rewritten row by row (see `tables.table_text`). Text
    outside all blocks (white space, front matter) is not indexed.
    """

    title: str
    text: str
    blocks: tuple[Block, ...]
    media_type: str
    places: tuple[Place, ...] = ()
    unread: tuple[Unread, ...] = ()


def content_error(reason: str) -> InvalidArgument:
    """The error for a document that cannot be parsed; `reason` is a constant of `reasons`."""
    korean = reasons.KOREAN[reason]
    return FieldInvalid.among([FieldViolation("content", reason, "CONTENT_UNREADABLE", korean)])


def normalise(text: str, limits: Limits) -> str:
    """The text in NFC.

    Raises InvalidArgument if it exceeds the limit or would take quadratic time to normalise.
    """
    if len(text) > limits.max_chars:
        raise content_error(reasons.TOO_LONG)
    if text.isascii():
        return text
    if _MARKS.search(text):
        raise content_error(reasons.COMBINING)
    return unicodedata.normalize("NFC", text)


def single_line(text: str) -> str:
    """The text on one line, cut to 200 code points, for titles and headings."""
    return " ".join(_UNPRINTABLE.sub("", text).split())[:200].strip()


def replace_tables(
    text: str, blocks: Sequence[Block], tables: Mapping[int, str]
) -> tuple[str, list[Block]]:
    """Replace the blocks that start at the keys of `tables`; returns the text and all its blocks.

    Blocks must be in order and not overlap. A block whose replacement is empty is dropped.
    """
    parts: list[str] = []
    moved: list[Block] = []
    at = size = 0
    for block in blocks:
        table = tables.get(block.start)
        inner = text[block.start : block.end] if table is None else table
        parts += [text[at : block.start], inner]
        start = size + block.start - at
        size, at = start + len(inner), block.end
        if inner:
            kind = block.kind if table is None else Kind.LINES
            moved.append(replace(block, start=start, end=size, kind=kind))
    return "".join([*parts, text[at:]]), moved


def _of_attachment(unread: Unread, attachment: str) -> Unread:
    """The note of a part of an attachment: its pages are not those of the message."""
    recognisable = unread.reason in reasons.RECOGNISABLE
    reason = reasons.ATTACHMENT_PAGES_UNREAD if recognisable else unread.reason
    pages = f"({', '.join(map(str, unread.pages))})" if unread.pages else ""
    return Unread(reason, detail=" ".join(filter(None, (attachment, unread.detail, pages))))


def places_within(places: Sequence[Place], start: int, end: int) -> Sequence[Place]:
    """The places that overlap with code points [start, end) of the text; one without any if none does."""
    first = bisect_right(places, start, key=lambda place: place.end)
    stop = bisect_left(places, end, key=lambda place: place.start)
    return places[first:stop] or (Place(start, end),)


class ParsedBuilder:
    """Builds a parsed document block by block."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parts: list[str] = []
        self._size = 0
        self._blocks: list[Block] = []
        self._places: list[Place] = []
        self._unread: list[Unread] = []

    def add(
        self, text: str, kind: Kind = Kind.TEXT, level: int = 0, *, continues: bool = False
    ) -> None:
        """Append a block, separated by a blank line; ignores white space alone.

        Text that `continues` belongs to the block before if that is text whose last sentence has no end.
        """
        text = normalise(_UNPRINTABLE.sub("", text), self._limits).strip()
        if not text:
            return
        last = self._blocks[-1] if self._blocks else None
        if (
            continues
            and kind is Kind.TEXT
            and last
            and last.kind is Kind.TEXT
            and not _SENTENCE_END.search(self._parts[-1])
        ):
            self._append(f"\n{text}")
            self._blocks[-1] = replace(last, end=self._size)
            return
        if self._parts:
            self._append("\n\n")
        start = self._size
        self._append(text)
        heading = single_line(text) if kind is Kind.HEADING else ""
        self._blocks.append(Block(start, self._size, kind, level, heading))

    def end_page(self, number: int) -> None:
        """Assign all text added since the last call to page or slide `number`."""
        start = self._places[-1].end if self._places else 0
        self._places.append(Place(start, self._size, page=number))

    def add_heading(self, text: str, level: int, *, sheet: str = "", attachment: str = "") -> None:
        """Append the heading of a sheet or of an attachment."""
        before = len(self._blocks)
        self.add(text, Kind.HEADING, level)
        for block in self._blocks[before:]:
            self._places.append(Place(block.start, block.end, sheet=sheet, attachment=attachment))

    def add_rows(self, rows: Sequence[tuple[int, str]], sheet: str = "") -> None:
        """Append a table as a block with a line for each row, which comes with its number in the sheet."""
        printable = [(number, _UNPRINTABLE.sub("", line)) for number, line in rows]
        filled = [(number, line) for number, line in printable if line.strip()]
        before = len(self._blocks)
        self.add("\n".join(line for _, line in filled), Kind.LINES)
        if len(self._blocks) == before:
            return
        at = self._blocks[-1].start
        for (number, _), line in zip(filled, self._parts[-1].split("\n"), strict=True):
            self._places.append(Place(at, at + len(line), sheet=sheet, row=number))
            at += len(line) + 1

    def add_document(self, document: Parsed, attachment: str) -> None:
        """Append another document's blocks, which are the message's attachment of that name."""
        for block in document.blocks:
            level = block.level + 2 if block.level else 0
            before = len(self._blocks)
            self.add(document.text[block.start : block.end], block.kind, level)
            if len(self._blocks) == before:
                continue
            last = self._blocks[-1]
            shift = last.start - block.start
            for place in places_within(document.places, block.start, block.end):
                self._places.append(
                    replace(
                        place,
                        start=max(place.start + shift, last.start),
                        end=min(place.end + shift, last.end),
                        attachment=place.attachment or attachment,
                    )
                )
        self._unread += [_of_attachment(one, attachment) for one in document.unread]

    def skip(self, reason: str, pages: Sequence[int] = (), detail: str = "") -> None:
        """Note that a part could not be read; `reason` is a key of `reasons.UNREAD`."""
        self._unread.append(Unread(reason, tuple(pages), detail))

    def note_recognised(self, recognised: Mapping[int, str], pages: Iterable[int]) -> None:
        """Note of these pages whose text was recognised, and on which nothing was."""
        found = [page for page in pages if recognised.get(page, "").strip()]
        if found:
            self.skip(reasons.TEXT_RECOGNISED, found)
        left = sorted(set(pages) - set(found))
        if left:
            self.skip(reasons.PAGE_NOT_RECOGNISED, left)

    def parsed(self, title: str, media_type: str) -> Parsed:
        text = "".join(self._parts)
        return Parsed(
            title, text, tuple(self._blocks), media_type, tuple(self._places), tuple(self._unread)
        )

    def _append(self, text: str) -> None:
        self._size += len(text)
        if self._size > self._limits.max_chars:
            raise content_error(reasons.TOO_LONG)
        self._parts.append(text)


_SENTENCE_END = re.compile(r"[.!?。…:：;][\"'”’)\]」』〉》]*\s*$")
# Characters that protobuf strings or terminals do not support; a PDF page may contain any of them.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]")
_COMBINING = "".join(chr(c) for c in range(0x300, 0x1E950) if unicodedata.combining(chr(c)))
# UAX #15 defines at most 30 consecutive marks as stream-safe; sorting them takes quadratic time.
_MARKS = re.compile(f"[{_COMBINING}][{_COMBINING}]{{63}}")
