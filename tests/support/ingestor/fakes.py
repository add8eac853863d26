"""The pipeline's neighbours, played by objects that remember what they were asked."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rag.types.v1.document_pb2 import Document
from rag_ingestor.chunking.chunks import SourceFile, Split
from rag_ingestor.chunking.model import Chunk
from rag_ingestor.parsing.parsed import Unread
from rag_ingestor.pipeline.service import Outcome, StoredDocument


@dataclass
class InMemory:
    """A file; `released` tells that it was not needed any more."""

    content: bytes
    released: bool = False

    def release(self) -> None:
        self.content, self.released = b"", True


@dataclass
class FakeEmbedding:
    """Embeds chunks, two in a batch; `fails` is raised in the batch of that number."""

    fails: dict[int, Exception] = field(default_factory=dict)
    embedded: int = 0

    async def fingerprint(self) -> str:
        return "finger"

    async def chunks(self, title: str, chunks: Sequence[Chunk]) -> AsyncIterator[Sequence[Any]]:
        for number, start in enumerate(range(0, len(chunks), 2)):
            if number in self.fails:
                raise self.fails[number]
            batch = chunks[start : start + 2]
            self.embedded += len(batch)
            yield [f"vector of {chunk.text}" for chunk in batch]


@dataclass
class FakeSplitting:
    """Cuts every file into the same chunks."""

    texts: Sequence[str] = ("one", "two", "three")
    error: Exception | None = None
    asked: int = 0
    unread: Sequence[Unread] = ()

    async def split(self, file: SourceFile) -> Split:
        self.asked += 1
        if self.error:
            raise self.error
        chunks = [Chunk(at, text, 0, len(text), 0, len(text)) for at, text in enumerate(self.texts)]
        return Split("its own title", "x" * 99, "text/plain", tuple(chunks), tuple(self.unread))


@dataclass
class FakeStoring:
    """Keeps a document when all its batches have come, as the retriever does; `gate` holds that back."""

    kept: dict[tuple[str, str, str], tuple[Document, list[Any]]] = field(default_factory=dict)
    gate: asyncio.Event | None = None
    waiting: int = 0

    async def get(self, tenant: str, collection: str, document_id: str) -> Document | None:
        result = self.kept.get((tenant, collection, document_id))
        return result[0] if result else None

    async def is_complete(self, tenant: str, document: Document) -> bool:
        _, chunks = self.kept[tenant, document.collection, document.document_id]
        return len(chunks) == document.passage_count

    async def put(
        self,
        tenant: str,
        document: Document,
        fingerprint: str,
        batches: AsyncIterator[Sequence[Any]],
    ) -> StoredDocument:
        chunks = [chunk async for batch in batches for chunk in batch]
        if self.gate:
            self.waiting += 1
            await self.gate.wait()
        key = tenant, document.collection, document.document_id
        former = self.kept.get(key)
        if former and former[0].version == document.version and len(former[1]) == len(chunks):
            return StoredDocument(former[0], Outcome.UNCHANGED)
        self.kept[key] = document, chunks
        return StoredDocument(document, Outcome.REPLACED if former else Outcome.CREATED)
