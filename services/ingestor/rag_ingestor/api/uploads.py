"""Reads streamed documents into memory, within a limit for each and a budget for all together."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from rag_contract import errors

# Each has either a header or some content.
Messages = AsyncIterator[Any]


async def read_header(messages: Messages) -> Any:
    """The header, which is the first message. Raises InvalidArgument."""
    first = await anext(messages, None)
    if first is None or first.WhichOneof("part") != "header":
        raise errors.FieldInvalid.of("header", "must be in the first message")
    return first.header


class UploadBudget:
    """The memory for the content of all documents that are being ingested, in bytes.

    A document may have `max_document` bytes, all together four times as many.
    """

    _DOCUMENTS = 4

    def __init__(self, max_document: int) -> None:
        self._max_document = max_document
        self._available = self._DOCUMENTS * max_document

    @contextmanager
    def upload(self) -> Iterator["Upload"]:
        """A document whose content is held in memory until the block ends."""
        upload = Upload(self)
        try:
            yield upload
        finally:
            self._available += upload.reserved

    def reserve(self, held: int, size: int) -> None:
        """Reserve `size` bytes for a document that holds `held`. Raises MessageTooLarge, Overloaded."""
        if held + size > self._max_document:
            raise errors.MessageTooLarge(
                f"the document has over {self._max_document} bytes",
                metadata={"limit_bytes": str(self._max_document)},
            )
        if size > self._available:
            raise errors.Overloaded("too many uploads at once", retry_after=2.0)
        self._available -= size


class Upload:
    """The content of one document; `reserved` counts its bytes."""

    def __init__(self, budget: UploadBudget) -> None:
        self._budget = budget
        self.reserved = 0

    async def read(self, messages: Messages) -> bytes:
        """The content that follows the header. Raises InvalidArgument, MessageTooLarge, Overloaded."""
        received = bytearray()
        try:
            async for message in messages:
                if message.WhichOneof("part") != "content":
                    raise errors.FieldInvalid.of("content", "must be all that follows the header")
                self._budget.reserve(self.reserved, len(message.content))
                self.reserved += len(message.content)
                received += message.content
        except BaseException:
            # The error's traceback references this frame, which would keep the bytes until garbage collection.
            received.clear()
            raise
        if not received:
            raise errors.FieldInvalid.of("content", "is empty")
        return bytes(received)
