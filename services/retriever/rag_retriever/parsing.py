"""Documents of every supported format, recognised by their content, to text with its structure."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from email.message import Message
from importlib import import_module
from pathlib import PurePath

from rag_retriever.formats import reasons
from rag_retriever.formats.charset import decoded
from rag_retriever.formats.parsed import (
    DOCX,
    HTML,
    PDF,
    PLAIN,
    Block,
    Kind,
    Limits,
    Page,
    Parsed,
    refused,
)
from rag_retriever.formats.recognition import container, looks_binary, meta_charset, text_type

__all__ = ["Block", "Kind", "Limits", "Page", "Parsed", "is_plain", "parse"]


def parse(
    content: bytes, filename: str = "", declared_type: str = "", limits: Limits | None = None
) -> Parsed:
    """The document's text in NFC with title, blocks and pages.

    PDF, DOCX, HTML and archives are recognised by their first bytes. The declared type and then
    the name only say whether a text is Markdown, which no byte shows; a declared type that the
    content contradicts is an error. The title falls back to the first heading, then to the name.
    Raises InvalidArgument (field "content", a sentence of `reasons`) for whatever cannot be taken.
    """
    limits = limits or Limits()
    if not content:
        raise refused(reasons.EMPTY)
    if len(content) > limits.max_bytes:
        raise refused(reasons.TOO_LARGE)
    declared = _Declared.of(declared_type)
    binary = container(content)
    _refuse_mismatch(declared.media_type, binary)
    if binary:
        parsed = _binary_parser(binary)(content, limits)
    else:
        parsed = _parsed_text(content, filename, declared, limits)
    if not parsed.text.strip():
        raise refused(reasons.NO_TEXT)
    return replace(parsed, title=parsed.title or _fallback_title(parsed, filename))


def is_plain(content: bytes, filename: str, declared_type: str) -> bool:
    """Whether no parser written in C and no markup is involved: cheap, and never raises."""
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
    if declared in (PDF, DOCX) and declared != binary:
        raise refused(reasons.MISMATCH)
    if declared.startswith("text/") and binary:
        raise refused(reasons.MISMATCH)


def _binary_parser(media_type: str) -> Callable[[bytes, Limits], Parsed]:
    """Imported late: a process that sees plain text only never loads a parser written in C."""
    module = import_module(f"rag_retriever.formats.{'pdf' if media_type == PDF else 'docx'}")
    parser: Callable[[bytes, Limits], Parsed] = module.parse
    return parser


def _parsed_text(content: bytes, filename: str, declared: _Declared, limits: Limits) -> Parsed:
    media_type = text_type(content, filename, declared.media_type)
    charset = declared.charset or (meta_charset(content) if media_type == HTML else "")
    module = import_module(f"rag_retriever.formats.{media_type.removeprefix('text/')}")
    parser: Callable[[str, Limits], Parsed] = module.parse
    return parser(decoded(content, charset), limits)


def _fallback_title(parsed: Parsed, filename: str) -> str:
    headings = (block.heading for block in parsed.blocks if block.heading)
    return next(headings, "") or PurePath(filename.replace("\\", "/")).stem
