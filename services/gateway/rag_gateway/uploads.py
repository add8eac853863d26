"""A document that comes in pieces: a header first, then content up to a limit."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rag.gateway.v1 import document_service_pb2 as pb
from rag_common import errors

_MOST_PIECE = 2**20


async def first(pieces: AsyncIterator[pb.UploadDocumentRequest]) -> pb.UploadDocumentRequest:
    """The first message, which is the header. Raises InvalidArgument."""
    found = await anext(pieces, None)
    if found is None or found.WhichOneof("part") != "header":
        raise errors.InvalidArgument.of("header", "must come in the first message")
    return found


class Room:
    """Memory for the uploads of all callers together, in bytes."""

    def __init__(self, most: int) -> None:
        self._left = most

    @contextmanager
    def share(self) -> Iterator["Share"]:
        """What one upload holds of it, until the block ends."""
        share = Share(self)
        try:
            yield share
        finally:
            self._left += share.held

    def take(self, size: int) -> None:
        """Raises Overloaded."""
        if size > self._left:
            raise errors.Overloaded("too many uploads at once", retry_after=2.0)
        self._left -= size


@dataclass(slots=True)
class Share:
    """How much an upload holds."""

    room: Room
    held: int = 0

    def take(self, size: int) -> None:
        """Raises Overloaded."""
        self.room.take(size)
        self.held += size


async def content(
    pieces: AsyncIterator[pb.UploadDocumentRequest], most: int, share: Share
) -> bytes:
    """All that follows the header. Raises InvalidArgument, MessageTooLarge, Overloaded."""
    taken = bytearray()
    try:
        async for piece in pieces:
            _check(piece)
            refuse_over(len(taken) + len(piece.content), most)
            share.take(len(piece.content))
            taken += piece.content
    except BaseException:
        # The error's traceback holds this frame, and would hold the bytes, until the collector comes by.
        taken.clear()
        raise
    if not taken:
        raise errors.InvalidArgument.of("content", "is empty")
    return bytes(taken)


def _check(piece: pb.UploadDocumentRequest) -> None:
    if piece.WhichOneof("part") != "content":
        raise errors.InvalidArgument.of("content", "must be all that follows the header")
    if len(piece.content) > _MOST_PIECE:
        raise errors.InvalidArgument.of(
            "content", f"must come in pieces of at most {_MOST_PIECE} bytes"
        )


def refuse_over(size: int, most: int) -> None:
    """Raise MessageTooLarge where a document has more bytes than it may."""
    if size > most:
        raise errors.MessageTooLarge(
            f"the document has over {most} bytes; larger ones go by UploadDocument, up to its limit",
            metadata={"limit_bytes": str(most)},
        )
