"""Documents on their way to the ingestor: checked, counted and hashed piece by piece, and not kept."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator

from rag.gateway.v1 import document_service_pb2 as pb
from rag_contract import errors

_MAX_PIECE_BYTES = 2**20
# A caller that sends nothing for so long has lost its connection: its call must not block its own retry.
_STALLED_SECONDS = 30.0
# For how long a read that is under way may go on after the call has failed.
_SETTLE_SECONDS = 0.5


async def first(messages: AsyncIterator[pb.UploadDocumentRequest]) -> pb.UploadDocumentRequest:
    """The first message, which is the header. Raises InvalidArgument."""
    message = await anext(messages, None)
    if message is None or message.WhichOneof("part") != "header":
        raise errors.FieldInvalid.of("header", "must come in the first message")
    return message


class WholeContent:
    """Content that has arrived in one message."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self._content)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The content in one piece."""
        yield self._content

    async def digest(self) -> bytes:
        """SHA-256 of the content."""
        return hashlib.sha256(self._content).digest()


class Upload:
    """The content that follows the header of an upload, of at most `limit` bytes; it is read once.

    `size` is the number of bytes read so far. Reading raises InvalidArgument, MessageTooLarge, and
    DeadlineExceeded if nothing has come for `stalled` seconds.
    """

    def __init__(
        self,
        messages: AsyncIterator[pb.UploadDocumentRequest],
        limit: int,
        stalled: float = _STALLED_SECONDS,
    ) -> None:
        self._messages = messages
        self._limit = limit
        self._stalled = stalled
        self._reading: asyncio.Task[pb.UploadDocumentRequest | None] | None = None
        self._hash = hashlib.sha256()
        self.size = 0

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The content in pieces, as they arrive."""
        while (message := await self._read()) is not None:
            _check(message)
            self.size += len(message.content)
            require_size(self.size, self._limit)
            self._hash.update(message.content)
            yield message.content
        if not self.size:
            raise errors.FieldInvalid.of("content", "is empty")

    async def digest(self) -> bytes:
        """SHA-256 of the whole content, once what has not been read yet has arrived; that is dropped."""
        async for _ in self.pieces():
            pass
        return self._hash.digest()

    async def settle(self) -> None:
        """Let a read that is under way end, for at most half a second.

        It is for a call that failed: the caller gets the status only if somebody reads what it still sends,
        and only one can read at a time.
        """
        if self._reading:
            await asyncio.wait({self._reading}, timeout=_SETTLE_SECONDS)
            self._reading.cancel()

    async def _read(self) -> pb.UploadDocumentRequest | None:
        """The next message, None at the end. After a cancellation the read goes on for the next call."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(_next(self._messages))
        done, _ = await asyncio.wait({self._reading}, timeout=self._stalled)
        if not done:
            raise errors.DeadlineExceeded(f"no content came for {self._stalled:g} seconds")
        message, self._reading = self._reading.result(), None
        return message


async def _next(
    messages: AsyncIterator[pb.UploadDocumentRequest],
) -> pb.UploadDocumentRequest | None:
    return await anext(messages, None)


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
