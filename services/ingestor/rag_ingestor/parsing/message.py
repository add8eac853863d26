"""Parses mail messages (EML): subject, sender and date, text, quoted history, and attachments."""

import email
import email.policy
import re
from collections.abc import Callable
from email.message import EmailMessage

from rag_contract.errors import InvalidArgument
from rag_ingestor.parsing import plain, reasons
from rag_ingestor.parsing.charset import decode_text
from rag_ingestor.parsing.parsed import (
    EML,
    HTML,
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

_HEADERS = ("From", "To", "Cc", "Date")
_HISTORY = "인용된 이전 메일"
_QUOTED = re.compile(r"^[ \t]*>+ ?", re.MULTILINE)
_ORIGINAL = re.compile(
    r"^[ \t]*-{2,} ?(?:Original Message|원본 메시지|원본 메일|Forwarded message|전달된 메시지) ?-{2,}",
    re.IGNORECASE | re.MULTILINE,
)
_MAX_ATTACHMENTS = 100
_MAX_DEPTH = 4
_UNNAMED = "첨부"


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
    lines = (f"{name}: {_header(message, name)}" for name in _HEADERS if message[name])
    builder.add("\n".join(lines), Kind.LINES)
    own, history = _body(message, limits, read)
    _add_text(builder, own, limits)
    if history:
        builder.add(_HISTORY, Kind.HEADING, 2)
        _add_text(builder, history, limits)
    for number, part in enumerate(message.iter_attachments(), 1):
        if number > _MAX_ATTACHMENTS or depth >= _MAX_DEPTH:
            builder.skip(reasons.ATTACHMENTS_LEFT_OUT)
            break
        _add_attachment(builder, part, limits, read, depth)
    return builder.parsed(subject, EML)


def _header(message: EmailMessage, name: str) -> str:
    """A header's text; one that is not encoded may be in any charset."""
    try:
        text = str(message[name] or "")
    except (LookupError, ValueError, IndexError, TypeError):
        text = ""
    if any("\udc80" <= char <= "\udcff" for char in text):
        text = decode_text(text.encode("utf-8", "surrogateescape"))
    return " ".join(text.split())


def _body(message: EmailMessage, limits: Limits, read: Reader) -> tuple[str, str]:
    """The message's own text, and the history that it quotes."""
    part = message.get_body(("plain", "html"))
    if not isinstance(part, EmailMessage):
        return "", ""
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes) or not content.strip():
        return "", ""
    if part.get_content_type() == HTML:
        return read(content, "", f"text/html; charset={_charset(part)}", limits).text, ""
    text = decode_text(content, _charset(part)).replace("\r\n", "\n")
    original = _ORIGINAL.search(text)
    own, history = (text[: original.start()], text[original.end() :]) if original else (text, "")
    kept: list[str] = []
    quoted: list[str] = []
    for line in own.split("\n"):
        (quoted if _QUOTED.match(line) else kept).append(line)
    past = [_QUOTED.sub("", "\n".join(quoted)), _QUOTED.sub("", history)]
    return "\n".join(kept), "\n\n".join(filter(str.strip, past))


def _charset(part: EmailMessage) -> str:
    return part.get_content_charset("") or ""


def _add_text(builder: ParsedBuilder, text: str, limits: Limits) -> None:
    parsed = plain.parse(text, limits)
    for block in parsed.blocks:
        builder.add(parsed.text[block.start : block.end], block.kind, block.level)


def _add_attachment(
    builder: ParsedBuilder, part: EmailMessage, limits: Limits, read: Reader, depth: int
) -> None:
    name = single_line(part.get_filename() or _UNNAMED)
    try:
        document = _attached(part, name, limits, read, depth)
    except InvalidArgument as error:
        why = error.violations[0].description
        builder.skip(reasons.ATTACHMENT_UNREAD, detail=f"{name}: {why}")
        return
    builder.add_heading(name, 2, attachment=name)
    builder.add_document(document, name)


def _attached(part: EmailMessage, name: str, limits: Limits, read: Reader, depth: int) -> Parsed:
    declared = part.get_content_type()
    if declared == EML and part.is_multipart():
        [inner] = part.iter_parts()
        return parse(inner.as_bytes(), limits, read, depth + 1)
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        raise content_error(reasons.EMPTY)
    # Mail programs declare this for what they do not know.
    declared = "" if declared == "application/octet-stream" else declared
    if text_type(content, name, declared) == EML:
        return parse(content, limits, read, depth + 1)
    return read(content, name, declared, limits)
