"""Documents on their way to the ingestor: checked, counted and hashed piece by piece, and not kept."""

import hashlib
from collections.abc import AsyncIterator

from rag.gateway.v1 import document_service_pb2 as pb
from rag_contract import errors

_MAX_PIECE_BYTES = 2**20


async def first(messages: AsyncIterator[pb.UploadDocumentRequest]) -> pb.UploadDocumentRequest:
    """The first message, which is the header. Raises InvalidArgument."""
    message = await anext(messages, None)
    if message is None or message.WhichOneof("part") != "header":
        raise errors.FieldInvalid.of("header", "must come in the first message")
    return message


class Upload:
    """The content that follows the header of an upload, of at most `limit` bytes; it is read once.

    Reading raises InvalidArgument and MessageTooLarge.
    """

    def __init__(self, messages: AsyncIterator[pb.UploadDocumentRequest], limit: int) -> None:
        self._messages = messages
        self._limit = limit
        self._hash = hashlib.sha256()
        self._size = 0

    async def pieces(self) -> AsyncIterator[bytes]:
        """The content in pieces, as they arrive."""
        async for message in self._messages:
            _check(message)
            self._size += len(message.content)
            require_size(self._size, self._limit)
            self._hash.update(message.content)
            yield message.content
        if not self._size:
            raise errors.FieldInvalid.of("content", "is empty")

    async def digest(self) -> bytes:
        """SHA-256 of the whole content, once what has not been read yet has arrived; that is dropped."""
        async for _ in self.pieces():
            pass
        return self._hash.digest()


def _check(message: pb.UploadDocumentRequest) -> None:
    if message.WhichOneof("part") != "content":
        raise errors.FieldInvalid.of("content", "must be all that follows the header")
    if len(message.content) > _MAX_PIECE_BYTES:
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
