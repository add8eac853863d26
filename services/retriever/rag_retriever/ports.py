"""What the retriever needs of a vector engine; one contract suite tests every engine against it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from rag_retriever.filters import Scope
from rag_retriever.passages import (
    Candidates,
    Document,
    DocumentKey,
    Passage,
    Query,
    SparseVector,
    VectorChunk,
)


class IndexState(Enum):
    """What an index is doing; it answers reads and writes in each."""

    READY = "ready"
    UNOPTIMIZED = "unoptimized"
    OPTIMIZING = "optimizing"


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """What an index is made for, once and for all."""

    name: str
    dimensions: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """An index as it is now; `points` counts all tenants' chunks and document records."""

    spec: IndexSpec
    points: int
    state: IndexState
    is_default: bool
    engine: str
    created: datetime


@dataclass(frozen=True, slots=True)
class Holdings:
    """What an index holds now, of all tenants, counting what searches can find.

    `unoptimized` counts points written since the search graph was built, `bytes` those on disk:
    None where the engine keeps them elsewhere.
    """

    documents: int
    chunks: int
    unoptimized: int
    bytes: int | None


class Searching(Protocol):
    """Reads for queries. Every method sees published passages within the scope, and nothing else."""

    async def candidates(self, scope: Scope, query: Query, limit: int) -> Candidates:
        """The `limit` nearest by cosine and by BM25 with IDF, each best first, ties by id."""
        ...

    async def passages(self, scope: Scope, ids: Sequence[str]) -> list[Passage]:
        """The passages of these ids in their order; one that is out of scope or gone is left out."""
        ...

    async def sparse_vectors(self, scope: Scope, ids: Sequence[str]) -> dict[str, SparseVector]:
        """The sparse vectors of these passages, for saying which terms matched."""
        ...


class Storing(Protocol):
    """Writes. Acknowledged means durable: it survives kill -9 of the process."""

    async def stage(self, document: Document, chunks: Sequence[VectorChunk]) -> None:
        """Store some chunks of a version, unseen by every read until it is published.

        Nothing happens where that version is published already.
        """
        ...

    async def publish(self, document: Document) -> None:
        """Show this version and remove every other of the document.

        No read in between finds neither, also where the process dies midway: then publishing again heals.
        Raises Aborted where a concurrent call has taken some of its chunks away.
        """
        ...

    async def discard(self, document: Document) -> None:
        """Remove the staged chunks of a version that will not be published."""
        ...

    async def delete(self, key: DocumentKey) -> int | None:
        """Remove a document and all its chunks; the number of published chunks, None if it was not there."""
        ...


class Reading(Protocol):
    """Reads of documents as such."""

    async def document(self, key: DocumentKey) -> Document | None:
        """The published document, or None."""
        ...

    async def documents(self, scope: Scope, after: str, limit: int) -> tuple[list[Document], str]:
        """Up to `limit` documents in a stable order after the token; the token for more, empty at the end."""
        ...

    async def chunks(self, key: DocumentKey, first: int, limit: int) -> list[Passage]:
        """Published chunks with ordinals first … first + limit - 1, in order."""
        ...

    async def count(self, scope: Scope) -> tuple[int, int]:
        """How many documents and how many chunks are published."""
        ...


class Index(Searching, Storing, Reading, Protocol):
    """One open index."""

    @property
    def spec(self) -> IndexSpec:
        """What it was made for."""
        ...

    @property
    def version(self) -> str:
        """Names the state of the data: another after every write, also after a restart."""
        ...


class Catalog(Protocol):
    """The indexes there are. The alias `default` means the first one made, until it is switched.

    Raises IndexNotFound for an unknown name and Unavailable where the engine does not answer.
    """

    async def create(self, spec: IndexSpec) -> IndexInfo:
        """Make it; nothing happens where the same is there; EmbeddingMismatch where another is."""
        ...

    async def open(self, name: str) -> Index:
        """The index of that name; `default` or empty for the one that the alias means."""
        ...

    async def describe(self, name: str) -> IndexInfo:
        """What it is doing."""
        ...

    async def list(self) -> list[IndexInfo]:
        """All of them, by name."""
        ...

    async def holdings(self, name: str) -> Holdings:
        """What it holds. Cheap: no point is read."""
        ...

    async def drift(self, name: str) -> int | None:
        """Chunks that searches can find less those that the documents announce: 0 is right.

        Reads every document's record, a page at a time, letting other work in between. None where
        something was written meanwhile, so that the two cannot be compared.
        """
        ...

    async def optimize(self, name: str) -> IndexInfo:
        """Build the search graph while reads and writes go on; ReindexRunning where one is being built."""
        ...

    async def switch(self, name: str) -> IndexInfo:
        """Let `default` mean this index, at once for every later call."""
        ...

    async def drop(self, name: str) -> None:
        """Remove an index; FailedPrecondition where `default` means it."""
        ...
