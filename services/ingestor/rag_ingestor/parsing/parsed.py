"""The result of parsing a document: its text in NFC, blocks and pages."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from rag_contract.errors import FieldInvalid, FieldViolation, InvalidArgument
from rag_ingestor.parsing import reasons

PLAIN = "text/plain"
MARKDOWN = "text/markdown"
HTML = "text/html"
PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


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
class Page:
    """Code points [start, end) of the text on page `number`, counted from 1."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document as text in NFC; blocks and pages are in order and do not overlap.

    Offsets count code points of `text`. For plain text and Markdown it is the decoded source without
    its byte order mark, except that tables are rewritten row by row (see `tables.table_text`). Text
    outside all blocks (white space, front matter) is not indexed.
    """

    title: str
    text: str
    blocks: tuple[Block, ...]
    media_type: str
    pages: tuple[Page, ...] = ()


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


class ParsedBuilder:
    """Builds a parsed document block by block."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parts: list[str] = []
        self._size = 0
        self._blocks: list[Block] = []
        self._pages: list[Page] = []

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
        """Assign all text added since the last call to page `number`."""
        start = self._pages[-1].end if self._pages else 0
        self._pages.append(Page(number, start, self._size))

    def parsed(self, title: str, media_type: str) -> Parsed:
        text = "".join(self._parts)
        return Parsed(title, text, tuple(self._blocks), media_type, tuple(self._pages))

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
