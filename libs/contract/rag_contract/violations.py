"""Field violations as status details, truncated, in the caller's language."""

from collections.abc import Iterator

from google.rpc import error_details_pb2 as details

from rag_contract.error_messages import GENERAL, KOREAN
from rag_contract.errors import AppError, FieldViolation

MESSAGE_BYTES = 512
NAME_BYTES = 128
# Max bytes that protobuf adds to an entry of a list or map of small messages.
ENTRY_BYTES = 8

_TEXT_BYTES = 256


def fitting(
    error: AppError, korean: bool, left: int
) -> Iterator[details.BadRequest.FieldViolation]:
    """The error's first violations, as many as fit into `left` bytes."""
    for item in error.violations:
        violation = _violation(item, error.reason, korean)
        left -= violation.ByteSize() + ENTRY_BYTES
        if left < 0:
            return
        yield violation


def _violation(
    item: FieldViolation, reason: str, korean: bool
) -> details.BadRequest.FieldViolation:
    description = truncate(item.description)
    own = item.korean or GENERAL.get(item.reason) or KOREAN[reason]
    return details.BadRequest.FieldViolation(
        field=truncate(item.field, NAME_BYTES),
        description=description,
        reason=truncate(item.reason or reason, NAME_BYTES),
        localized_message=localized(truncate(own) if korean else "", description),
    )


def parse(item: details.BadRequest.FieldViolation, error_reason: str) -> FieldViolation:
    """The violation of a received status; a reason equal to `error_reason` becomes empty."""
    message = item.localized_message
    return FieldViolation(
        item.field,
        item.description,
        reason=item.reason if item.reason != error_reason else "",
        korean=message.message if message.locale == "ko-KR" else "",
    )


def localized(korean: str, english: str) -> details.LocalizedMessage:
    """The Korean text if it is not empty, else the English."""
    locale = "ko-KR" if korean else "en-US"
    return details.LocalizedMessage(
        locale=locale, message=truncate(korean or english, MESSAGE_BYTES)
    )


def truncate(text: str, max_bytes: int = _TEXT_BYTES) -> str:
    """The text, ending with "…" if it was cut to `max_bytes` bytes of UTF-8."""
    raw = text[:max_bytes].encode(errors="replace")
    if len(text) <= max_bytes and len(raw) <= max_bytes:
        return raw.decode()
    return raw[: max_bytes - len("…".encode())].decode(errors="ignore") + "…"
