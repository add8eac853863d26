"""Reads streamed documents into memory, within a limit for each and a budget for all together."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from rag_contract import errors
from rag_ingestor.telemetry.metrics import IngestorMetrics

# Each has a header, some content, or the end of the content.
Messages = AsyncIterator[Any]

_MAX_PIECE_BYTES = 2**20
# Documents up to this size may also use the part of the budget that larger ones leave.
_SMALL_BYTES = 2**20


class UploadBudget:
    """The memory for the content of all documents that have not been split yet, in bytes.

    A document may have `max_document` bytes, all together four times as many. A quarter of that is for
    documents of at most 1 MiB: a few large ones cannot keep all others out.
    """

    _DOCUMENTS = 4

    def __init__(self, max_document: int, metrics: IngestorMetrics) -> None:
        self._max_document = max_document
        self._available = self._DOCUMENTS * max_document
        metrics.upload_capacity.set(self._available)
        metrics.upload_bytes.set_function(lambda: self._DOCUMENTS * max_document - self._available)

    @contextmanager
    def upload(self) -> Iterator["Upload"]:
        """A document whose content is held in memory until it is released, or the block ends."""
        upload = Upload(self)
        try:
            yield upload
        finally:
            upload.release()

    def reserve(self, held: int, size: int) -> None:
        """Reserve `size` bytes for a document that holds `held`. Raises MessageTooLarge, Overloaded."""
        if held + size > self._max_document:
            raise errors.MessageTooLarge(
                f"the document has over {self._max_document} bytes",
                metadata={"limit_bytes": str(self._max_document)},
            )
        kept = self._max_document if held + size > _SMALL_BYTES else 0
        if size > self._available - kept:
            raise errors.Overloaded("too many uploads at once", retry_after=2.0)
        self._available -= size

    def give_back(self, size: int) -> None:
        """Release reserved bytes."""
        self._available += size


class Upload:
    """The content of one document, which is empty until it is read and after it is released."""

    def __init__(self, budget: UploadBudget) -> None:
        self._budget = budget
        self._reserved = 0
        self.content = b""

    async def read(self, messages: Messages, *, ended: bool = True) -> None:
        """Read the content that follows the header.

        With `ended` the last message must be its end, with its size and hash: the stream of a caller that
        was cut off ends like any other. Raises InvalidArgument, MessageTooLarge, Overloaded.
        """
        received = bytearray()
        end = None
        try:
            async for message in messages:
                if ended and message.WhichOneof("part") == "end":
                    end = message.end
                    continue
                if end is not None or message.WhichOneof("part") != "content":
                    raise errors.FieldInvalid.of("content", "must be all that follows the header")
                self._reserve(len(message.content))
                received += message.content
            if not received:
                raise errors.FieldInvalid.of("content", "is empty")
            if ended:
                _require_whole(received, end)
        except BaseException:
            # The error's traceback references this frame, which would keep the bytes until garbage collection.
            received.clear()
            raise
        self.content = bytes(received)

    def release(self) -> None:
        """Drop the content, and give back its part of the budget."""
        self.content = b""
        self._budget.give_back(self._reserved)
        self._reserved = 0

    def _reserve(self, size: int) -> None:
        if size > _MAX_PIECE_BYTES:
            raise errors.FieldInvalid.of(
                "content", f"must come in pieces of at most {_MAX_PIECE_BYTES} bytes"
            )
        self._budget.reserve(self._reserved, size)
        self._reserved += size


def _require_whole(received: bytearray, end: Any) -> None:
    if end is None or end.size != len(received):
        raise errors.FieldInvalid.of("content", "ended early")
    if end.sha256 != hashlib.sha256(received).digest():
        raise errors.FieldInvalid.of("content", "arrived damaged")
