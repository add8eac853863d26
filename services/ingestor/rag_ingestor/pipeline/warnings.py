"""What could not be read of a document, as it is stored with the document and shown to its users."""

from collections.abc import Iterable, Sequence

from rag.types.v1.document_pb2 import ReadingWarning
from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.parsed import Unread

_MAX_PAGES = 100
_MAX_WARNINGS = 20


def reading_warnings(unread: Sequence[Unread]) -> list[ReadingWarning]:
    """The messages of what could not be read, as many as a document may have."""
    return [_warning(one) for one in unread[:_MAX_WARNINGS]]


def is_recognisable(warnings: Iterable[ReadingWarning]) -> bool:
    """Whether they are of pages whose text can be recognised (OCR)."""
    return any(one.reason in reasons.RECOGNISABLE for one in warnings)


def is_recognised(unread: Iterable[Unread]) -> bool:
    """Whether pages were recognised (OCR), or tried to be."""
    return any(one.reason in reasons.RECOGNISED for one in unread)


def _warning(unread: Unread) -> ReadingWarning:
    english, korean = reasons.UNREAD[unread.reason]
    detail = f": {unread.detail}" if unread.detail else ""
    return ReadingWarning(
        reason=unread.reason,
        description=f"{english}{detail}",
        description_ko=f"{korean.removesuffix('.')}{detail}" if detail else korean,
        pages=unread.pages[:_MAX_PAGES],
    )
