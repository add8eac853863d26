"""What is wrong with a request's fields as details of a status, cut to size, in the caller's language."""

from collections.abc import Iterator

from google.rpc import error_details_pb2 as details

from rag_common.errors import AppError, FieldViolation
from rag_common.messages import GENERAL, KOREAN

MESSAGE_BYTES = 512
NAME_BYTES = 128
# What protobuf adds to an entry of a list or map of small messages, at most.
ENTRY_BYTES = 8

_TEXT_BYTES = 256


def fitting(
    error: AppError, korean: bool, left: int
) -> Iterator[details.BadRequest.FieldViolation]:
    """As many of the error's violations as fit into `left` bytes, the first ones."""
    for item in error.violations:
        violation = _violation(item, error.reason, korean)
        left -= violation.ByteSize() + ENTRY_BYTES
        if left < 0:
            return
        yield violation


def _violation(
    item: FieldViolation, reason: str, korean: bool
) -> details.BadRequest.FieldViolation:
    description = cut(item.description)
    own = item.korean or GENERAL.get(item.reason) or KOREAN[reason]
    return details.BadRequest.FieldViolation(
        field=cut(item.field, NAME_BYTES),
        description=description,
        reason=cut(item.reason or reason, NAME_BYTES),
        localized_message=localized(cut(own) if korean else "", description),
    )


def read(item: details.BadRequest.FieldViolation, whole: str) -> FieldViolation:
    """The violation that was sent; `whole` is the error's own reason, which says nothing more."""
    told = item.localized_message
    return FieldViolation(
        item.field,
        item.description,
        reason=item.reason if item.reason != whole else "",
        korean=told.message if told.locale == "ko-KR" else "",
    )


def localized(korean: str, english: str) -> details.LocalizedMessage:
    """The Korean sentence where there is one, else the English."""
    locale = "ko-KR" if korean else "en-US"
    return details.LocalizedMessage(locale=locale, message=cut(korean or english, MESSAGE_BYTES))


def cut(text: str, most: int = _TEXT_BYTES) -> str:
    """The text as at most so many bytes of UTF-8, which it is made to fit."""
    raw = text[:most].encode(errors="replace")
    if len(text) <= most and len(raw) <= most:
        return raw.decode()
    return raw[: most - len("…".encode())].decode(errors="ignore") + "…"
