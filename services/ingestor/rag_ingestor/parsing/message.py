"""Parses mail messages (EML): subject, sender and date, text, quoted history, and attachments."""

import email
import email.generator
import email.policy
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage, MIMEPart
from typing import Any, TypeVar

from rag_contract.errors import InvalidArgument
from rag_ingestor.parsing import plain, reasons
from rag_ingestor.parsing.charset import decode_text
from rag_ingestor.parsing.parsed import (
    EML,
    HTML,
    PLAIN,
    Kind,
    Limits,
    Parsed,
    ParsedBuilder,
    content_error,
    single_line,
)
from rag_ingestor.parsing.recognition import text_type

# Reads a file: content, name, declared type, limits.
Reader = Callable[[bytes, str, str, Limits], Parsed]
T = TypeVar("T")

_HEADERS = ("From", "To", "Cc", "Date")
_HISTORY = "인용된 이전 메일"
_BODY = "본문"
_QUOTED = re.compile(r"^[ \t]*>+ ?", re.MULTILINE)
_ORIGINAL = re.compile(
    r"^[ \t]*-{2,} ?(?:Original Message|원본 메시지|원본 메일|Forwarded message|전달된 메시지) ?-{2,}",
    re.IGNORECASE | re.MULTILINE,
)
# Signatures, and forms of the same text for other programs.
_NO_CONTENT = frozenset(
    {
        *(
            "application/pkcs7-signature",
            "application/x-pkcs7-signature",
            "application/pgp-signature",
        ),
        *("text/x-amp-html", "text/watch-html", "text/enriched", "text/richtext"),
    }
)
_MESSAGES = (EML, "message/global")
_MAX_ATTACHMENTS = 100
_MAX_DEPTH = 4
_MAX_NESTING = 30
_UNNAMED = "첨부"
# Nothing is lost with these.
_NOTHING = frozenset({reasons.EMPTY, reasons.NO_TEXT})


def parse(content: bytes, limits: Limits, read: Reader, depth: int = 0) -> Parsed:
    """The message; each attachment that `read` can read is below a heading with its name.

    What replies quote stands once, at the end, below a heading of its own. Raises InvalidArgument.
    """
    try:
        message = email.message_from_bytes(content, EmailMessage, policy=email.policy.default)
    except (RecursionError, ValueError) as error:
        raise content_error(reasons.BROKEN_MAIL) from error
    builder = ParsedBuilder(limits)
    subject = single_line(_header(message, "Subject"))
    builder.add(subject, Kind.HEADING, 1)
    lines = ((name, _header(message, name)) for name in _HEADERS)
    builder.add("\n".join(f"{name}: {text}" for name, text in lines if text), Kind.LINES)
    contents = _contents(message)
    history = [_add_body(builder, part, limits, read) for part in contents.bodies]
    past = "\n\n".join(filter(None, history))
    if past:
        builder.add(_HISTORY, Kind.HEADING, 2)
        _add_blocks(builder, plain.parse(past, limits))
    for number, part in enumerate(contents.attachments, 1):
        if number > _MAX_ATTACHMENTS or depth >= _MAX_DEPTH:
            builder.skip(reasons.ATTACHMENTS_LEFT_OUT)
            break
        _add_attachment(builder, part, limits, read, depth)
    return builder.parsed(subject, EML)


@dataclass(slots=True)
class _Contents:
    """The parts that are a message's text, and all others with content."""

    bodies: list[MIMEPart] = field(default_factory=list)
    attachments: list[MIMEPart] = field(default_factory=list)


def _contents(part: MIMEPart, nesting: int = 0) -> _Contents:
    """The parts of a message. Of alternatives the plain text is its text, if it has any, else the next."""
    found = _Contents()
    kind = _safely(part.get_content_type, "")
    if kind.startswith("multipart/") and part.is_multipart() and nesting < _MAX_NESTING:
        inner = [_contents(one, nesting + 1) for one in part.iter_parts()]
        if kind == "multipart/alternative":
            found.bodies = next(
                (one.bodies for one in inner if any(map(_has_text, one.bodies))), []
            )
        else:
            found.bodies = [body for one in inner for body in one.bodies]
        found.attachments = [other for one in inner for other in one.attachments]
    elif kind in (PLAIN, HTML) and (nesting == 0 or not _is_file(part)):
        found.bodies.append(part)
    elif kind not in _NO_CONTENT:
        found.attachments.append(part)
    return found


def _is_file(part: MIMEPart) -> bool:
    """Whether a part of text is an attachment: it says so, or has a file name."""
    disposition = _safely(part.get_content_disposition, None)
    return disposition == "attachment" or bool(_safely(part.get_filename, None))


def _has_text(part: MIMEPart) -> bool:
    return bool(_payload(part).strip())


def _payload(part: MIMEPart) -> bytes:
    content: Any = _safely(lambda: part.get_payload(decode=True), None)
    return content if isinstance(content, bytes) else b""


def _safely(get: Callable[[], T], default: T) -> T:
    """The value, or the default: the library raises anything for damaged headers."""
    try:
        return get()
    except Exception:
        return default


def _header(message: EmailMessage, name: str) -> str:
    """A header's text; one that is not encoded may be in any charset."""
    text = _safely(lambda: str(message[name] or ""), "")
    raw = _raw_header(message, name)
    if any("\udc80" <= char <= "\udcff" for char in raw):
        text = _safely(lambda: decode_text(raw.encode("utf-8", "surrogateescape")), text)
    return " ".join(text.split())


def _raw_header(message: EmailMessage, name: str) -> str:
    """A header as it arrived, with bytes that are not ASCII as surrogates."""
    for key, value in message.raw_items():
        if key.lower() == name.lower():
            return str(value)
    return ""


def _add_body(builder: ParsedBuilder, part: MIMEPart, limits: Limits, read: Reader) -> str:
    """Add the message's own text; returns the history that it quotes."""
    content, charset = _payload(part), _safely(lambda: part.get_content_charset(""), "") or ""
    if not content.strip():
        return ""
    try:
        if _safely(part.get_content_type, "") == HTML:
            _add_blocks(builder, read(content, "", f"text/html; charset={charset}", limits))
            return ""
        own, history = _without_history(decode_text(content, charset))
    except InvalidArgument as error:
        why = error.violations[0].description
        if why not in _NOTHING:
            builder.skip(reasons.ATTACHMENT_UNREAD, detail=f"{_BODY}: {why}")
        return ""
    _add_blocks(builder, plain.parse(own, limits))
    return history


def _without_history(text: str) -> tuple[str, str]:
    """The text without what it quotes, and that."""
    text = text.replace("\r\n", "\n")
    original = _ORIGINAL.search(text)
    own, history = (text[: original.start()], text[original.end() :]) if original else (text, "")
    kept: list[str] = []
    quoted: list[str] = []
    for line in own.split("\n"):
        (quoted if _QUOTED.match(line) else kept).append(line)
    past = [_QUOTED.sub("", "\n".join(quoted)), _QUOTED.sub("", history)]
    return "\n".join(kept), "\n\n".join(filter(str.strip, past))


def _add_blocks(builder: ParsedBuilder, parsed: Parsed) -> None:
    for block in parsed.blocks:
        level = block.level + 1 if block.level else 0
        builder.add(parsed.text[block.start : block.end], block.kind, level)


def _add_attachment(
    builder: ParsedBuilder, part: MIMEPart, limits: Limits, read: Reader, depth: int
) -> None:
    name = single_line(_safely(part.get_filename, None) or _UNNAMED)
    try:
        document = _attached(part, name, limits, read, depth)
    except InvalidArgument as error:
        why = error.violations[0].description
        builder.skip(reasons.ATTACHMENT_UNREAD, detail=f"{name}: {why}")
        return
    builder.add_heading(name, 2, attachment=name)
    builder.add_document(document, name)


def _attached(part: MIMEPart, name: str, limits: Limits, read: Reader, depth: int) -> Parsed:
    declared = _safely(part.get_content_type, "")
    if declared in _MESSAGES and part.is_multipart():
        for inner in part.iter_parts():
            return parse(_safely(inner.as_bytes, b""), limits, read, depth + 1)
    content = _payload(part)
    # Mail programs are often wrong about other types.
    declared = declared if declared.startswith("text/") else ""
    if text_type(content, name, declared) == EML:
        return parse(content, limits, read, depth + 1)
    return read(content, name, declared, limits)
