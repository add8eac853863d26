"""Streamed uploads: a header message first, then the content in pieces, up to a limit."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rag.gateway.v1 import document_service_pb2 as pb
from rag_contract import errors

_MAX_PIECE_BYTES = 2**20


async def first(pieces: AsyncIterator[pb.UploadDocumentRequest]) -> pb.UploadDocumentRequest:
    """The first message, which is the header. Raises InvalidArgument."""
    message = await anext(pieces, None)
    if message is None or message.WhichOneof("part") != "header":
        raise errors.FieldInvalid.of("header", "must come in the first message")
    return message


class UploadBudget:
    """The memory that the uploads of all callers may use together, in bytes."""

    def __init__(self, capacity: int) -> None:
        self._available = capacity

    @contextmanager
    def reservation(self) -> Iterator["UploadReservation"]:
        """The reservation of one upload, released when the block ends."""
        reservation = UploadReservation(self)
        try:
            yield reservation
        finally:
            self._available += reservation.size

    def reserve(self, size: int) -> None:
        """Reserve bytes. Raises Overloaded if fewer are available."""
        if size > self._available:
            raise errors.Overloaded("too many uploads at once", retry_after=2.0)
        self._available -= size


@dataclass(slots=True)
class UploadReservation:
    """The bytes that one upload has reserved."""

    budget: UploadBudget
    size: int = 0

    def grow(self, size: int) -> None:
        """Reserve more bytes. Raises Overloaded."""
        self.budget.reserve(size)
        self.size += size


async def content(
    pieces: AsyncIterator[pb.UploadDocumentRequest], limit: int, reservation: UploadReservation
) -> bytes:
    """The content that follows the header. Raises InvalidArgument, MessageTooLarge, Overloaded."""
    received = bytearray()
    try:
        async for piece in pieces:
            _check(piece)
            require_size(len(received) + len(piece.content), limit)
            reservation.grow(len(piece.content))
            received += piece.content
    except BaseException:
        # The error's traceback references this frame, which would keep the bytes until garbage collection.
        received.clear()
        raise
    if not received:
        raise errors.FieldInvalid.of("content", "is empty")
    return bytes(received)


def _check(piece: pb.UploadDocumentRequest) -> None:
    if piece.WhichOneof("part") != "content":
        raise errors.FieldInvalid.of("content", "must be all that follows the header")
    if len(piece.content) > _MAX_PIECE_BYTES:
        raise errors.FieldInvalid.of(
            "content", f"must come in pieces of at most {_MAX_PIECE_BYTES} bytes"
        )


def require_size(size: int, limit: int) -> None:
    """Raise MessageTooLarge if a document has more than `limit` bytes."""
    if size > limit:
        raise errors.MessageTooLarge(
            f"the document has over {limit} bytes; use UploadDocument for larger ones, up to its limit",
            metadata={"limit_bytes": str(limit)},
        )
