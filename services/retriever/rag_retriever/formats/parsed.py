"""What a parser makes of a document: NFC text, its blocks and its pages."""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from rag_common.errors import FieldViolation, InvalidArgument
from rag_retriever.formats import reasons

PLAIN = "text/plain"
MARKDOWN = "text/markdown"
HTML = "text/html"
PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a document may cost: bytes as sent and as unpacked, pages, code points of its text."""

    max_bytes: int = 20 * 1024 * 1024
    max_expanded: int = 64 * 1024 * 1024
    max_pages: int = 2000
    max_chars: int = 10_000_000


class Kind(StrEnum):
    """How a block may be cut: not at all, between sentences, between lines."""

    HEADING = "heading"
    TEXT = "text"
    LINES = "lines"


@dataclass(frozen=True, slots=True)
class Block:
    """Code points [start, end) of the text; a heading has its `level`, 1 the highest, and words."""

    start: int
    end: int
    kind: Kind = Kind.TEXT
    level: int = 0
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Code points [start, end) of the text that stand on the page `number`, counted from 1."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document as text in NFC; blocks and pages are in order and never overlap.

    Offsets count code points of `text`. For plain text and Markdown it is the source itself,
    decoded, without its byte order mark. What lies outside all blocks (white space, a front
    matter) is not to be searched.
    """

    title: str
    text: str
    blocks: tuple[Block, ...]
    media_type: str
    pages: tuple[Page, ...] = ()


def refused(reason: str) -> InvalidArgument:
    """The error for a document that cannot be taken; `reason` is one of the constants."""
    korean = reasons.KOREAN[reason]
    return InvalidArgument.among([FieldViolation("content", reason, "CONTENT_UNREADABLE", korean)])


def normalised(text: str, limits: Limits) -> str:
    """The text in NFC; refuses what is over the limit or takes quadratic time to normalise."""
    if len(text) > limits.max_chars:
        raise refused(reasons.TOO_LONG)
    if text.isascii():
        return text
    if _MARKS.search(text):
        raise refused(reasons.COMBINING)
    return unicodedata.normalize("NFC", text)


def squeezed(text: str) -> str:
    """The text on one line, for titles and headings: at most 200 code points."""
    return " ".join(_UNPRINTABLE.sub("", text).split())[:200].strip()


class Draft:
    """The text of a parsed document while its parser writes it, block after block."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parts: list[str] = []
        self._size = 0
        self._blocks: list[Block] = []
        self._pages: list[Page] = []

    def add(self, text: str, kind: Kind = Kind.TEXT, level: int = 0) -> None:
        """Appends a block, set off by a blank line; white space alone is dropped."""
        text = normalised(_UNPRINTABLE.sub("", text), self._limits).strip()
        if not text:
            return
        if self._parts:
            self._append("\n\n")
        start = self._size
        self._append(text)
        heading = squeezed(text) if kind is Kind.HEADING else ""
        self._blocks.append(Block(start, self._size, kind, level, heading))

    def end_page(self, number: int) -> None:
        """What was added since the last call stands on the page `number`."""
        start = self._pages[-1].end if self._pages else 0
        self._pages.append(Page(number, start, self._size))

    def parsed(self, title: str, media_type: str) -> Parsed:
        text = "".join(self._parts)
        return Parsed(title, text, tuple(self._blocks), media_type, tuple(self._pages))

    def _append(self, text: str) -> None:
        self._size += len(text)
        if self._size > self._limits.max_chars:
            raise refused(reasons.TOO_LONG)
        self._parts.append(text)


# Characters that protobuf strings or readers cannot take; a page of a PDF may hold any of them.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]")
_COMBINING = "".join(chr(c) for c in range(0x300, 0x1E950) if unicodedata.combining(chr(c)))
# UAX #15 calls text with at most 30 marks in a row stream-safe; sorting them is quadratic.
_MARKS = re.compile(f"[{_COMBINING}][{_COMBINING}]{{63}}")
