"""Parses documents of every supported format, which is detected by content."""

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.message import Message
from importlib import import_module
from pathlib import PurePath
from typing import Any

from rag_contract.errors import InvalidArgument
from rag_ingestor.parsing import delimited, plain, reasons
from rag_ingestor.parsing.charset import decode_text
from rag_ingestor.parsing.parsed import (
    BMP,
    CSV,
    DOCX,
    EML,
    GIF,
    HTML,
    HWP,
    HWPX,
    JPEG,
    MARKDOWN,
    ODS,
    PDF,
    PLAIN,
    PNG,
    PPTX,
    RTF,
    TIFF,
    WEBP,
    XLS,
    XLSX,
    Block,
    Kind,
    Limits,
    Parsed,
    Place,
    Unread,
    content_error,
)
from rag_ingestor.parsing.recognition import (
    binary_media_type,
    is_declared_table,
    looks_binary,
    meta_charset,
    promises_binary,
    text_type,
)

__all__ = [
    "IMAGE_TYPES",
    "MEDIA_TYPES",
    "READERS",
    "Block",
    "Kind",
    "Limits",
    "Parsed",
    "Place",
    "Unread",
    "is_plain",
    "parse",
]

# The module that reads each format.
READERS = {
    PLAIN: "plain",
    CSV: "delimited",
    MARKDOWN: "markdown",
    HTML: "html",
    PDF: "pdf",
    DOCX: "docx",
    PPTX: "pptx",
    XLSX: "workbook",
    XLS: "workbook",
    ODS: "workbook",
    HWP: "hwp",
    HWPX: "hwpx",
    RTF: "rtf",
    EML: "message",
}
MEDIA_TYPES = tuple(READERS)
_BROKEN = {
    DOCX: reasons.BROKEN_DOCX,
    PPTX: reasons.BROKEN_PPTX,
    XLSX: reasons.BROKEN_WORKBOOK,
    XLS: reasons.BROKEN_WORKBOOK,
    ODS: reasons.BROKEN_WORKBOOK,
    HWP: reasons.BROKEN_HWP,
    HWPX: reasons.BROKEN_HWPX,
    RTF: reasons.BROKEN_RTF,
}
# Read only where text can be recognised (OCR).
IMAGE_TYPES = (PNG, JPEG, TIFF, GIF, BMP, WEBP)
_SHEETS = (XLSX, XLS, ODS)
_BINARY = frozenset({PDF, DOCX, PPTX, XLSX, XLS, ODS, HWP, HWPX, RTF, *IMAGE_TYPES})


def parse(
    content: bytes,
    filename: str = "",
    declared_type: str = "",
    limits: Limits | None = None,
    recognised: Mapping[int, str] | None = None,
) -> Parsed:
    """The document's text in NFC with title, blocks and pages.

    Every binary format is detected by its content. The declared type, then the file name, only determine
    whether a text is Markdown or a table, which its content does not show. What could not be read is in
    `unread`. The title falls back to the first heading, then to the file name. Raises InvalidArgument
    (field "content", a message of `reasons`) if the document cannot be parsed or its declared type
    contradicts the content.

    `recognised` has the text of scanned pages (OCR), from 1. If it is empty, a document without text is no
    error: its pages are in `unread`, to be recognised. None: nothing recognises text.
    """
    limits = limits or Limits()
    if not content:
        raise content_error(reasons.EMPTY)
    if len(content) > limits.max_bytes:
        raise content_error(reasons.TOO_LARGE)
    declared = _Declared.of(declared_type)
    binary = binary_media_type(content)
    _refuse_mismatch(declared.media_type, binary)
    parsed: Parsed
    if binary in IMAGE_TYPES:
        parsed = _module("image").parse(content, limits, recognised, binary)
    elif binary == PDF:
        parsed = _reader(PDF)(content, limits, recognised)
    elif binary:
        parsed = _guarded(binary, content, limits)
    else:
        parsed = _parsed_text(content, filename, declared, limits)
        if promises_binary(filename):
            parsed = replace(parsed, unread=(Unread(reasons.NAME_MISMATCH), *parsed.unread))
    recognisable = recognised == {} and any(
        one.reason in reasons.RECOGNISABLE for one in parsed.unread
    )
    if not parsed.text.strip() and not recognisable:
        raise content_error(reasons.NO_TEXT)
    return replace(parsed, title=parsed.title or _fallback_title(parsed, filename))


def render(content: bytes, page: int) -> bytes:
    """A page of a PDF or an image, from 1, as an image in PGM. Raises InvalidArgument."""
    kind = "pdf" if binary_media_type(content) == PDF else "image"
    drawn: bytes = _module(kind).render(content, page)
    return drawn


def is_plain(content: bytes, filename: str, declared_type: str) -> bool:
    """Whether the content is plain text, which needs no parser written in C. Cheap; never raises."""
    if looks_binary(content):
        return False
    return text_type(content, filename, _Declared.of(declared_type).media_type) == PLAIN


@dataclass(frozen=True, slots=True)
class _Declared:
    media_type: str
    charset: str

    @classmethod
    def of(cls, value: str) -> "_Declared":
        header = Message()
        header["content-type"] = value.replace("\n", " ").replace("\r", " ")
        known = header.get_content_type() if "/" in value else ""
        return cls(known, str(header.get_param("charset", "")))


def _refuse_mismatch(declared: str, binary: str) -> None:
    if declared in _SHEETS and binary in ("", *_SHEETS):
        # Windows declares every table as Excel's, those of plain text and of HTML as well.
        return
    if declared in _BINARY and declared != binary:
        raise content_error(reasons.MISMATCH)
    if declared.startswith("text/") and binary not in ("", RTF):
        raise content_error(reasons.MISMATCH)


def _reader(media_type: str) -> Callable[..., Parsed]:
    """Imported lazily, so that a process that parses only plain text loads no parser written in C."""
    reader: Callable[..., Parsed] = _module(READERS[media_type]).parse
    return reader


def _guarded(media_type: str, content: bytes, limits: Limits) -> Parsed:
    """The document, read by a library that may raise anything for a damaged file: that is handled here."""
    try:
        return _reader(media_type)(content, limits)
    except (InvalidArgument, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.EMFILE:
            # Not the file's fault: a sandbox may open none, and the reader tried to.
            raise
        raise content_error(_BROKEN[media_type]) from error


def _module(name: str) -> Any:
    return import_module(f"rag_ingestor.parsing.{name}")


def _parsed_text(content: bytes, filename: str, declared: _Declared, limits: Limits) -> Parsed:
    media_type = text_type(content, filename, declared.media_type)
    if media_type == EML:
        return _reader(EML)(content, limits, parse)
    charset = declared.charset or (meta_charset(content) if media_type == HTML else "")
    text = decode_text(content, charset)
    if media_type != PLAIN:
        return _reader(media_type)(text, limits)
    if is_declared_table(filename, declared.media_type):
        table = delimited.parse(text, limits)
        if table is not None:
            return table
    return plain.parse(text, limits)


def _fallback_title(parsed: Parsed, filename: str) -> str:
    headings = (block.heading for block in parsed.blocks if block.heading)
    return next(headings, "") or PurePath(filename.replace("\\", "/")).stem
