"""The interface of a vector engine; one contract test suite runs against every implementation."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from rag_retriever.index.filters import Scope
from rag_retriever.index.model import (
    Candidates,
    Document,
    DocumentKey,
    Passage,
    Query,
    SparseVector,
    VectorChunk,
)


class IndexState(Enum):
    """The state of an index's search graph; reads and writes work in every state."""

    READY = "ready"
    UNOPTIMIZED = "unoptimized"
    OPTIMIZING = "optimizing"


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """The immutable definition of an index."""

    name: str
    dimensions: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """An index and its current state; `points` counts all tenants' chunks and document records."""

    spec: IndexSpec
    points: int
    state: IndexState
    is_default: bool
    engine: str
    created: datetime


@dataclass(frozen=True, slots=True)
class IndexStats:
    """Current counts of an index over all tenants, of searchable documents and chunks only.

    `unoptimized` is the number of points written since the search graph was built. `disk_bytes` is
    None if the engine does not store the index on this machine.
    """

    documents: int
    chunks: int
    unoptimized: int
    disk_bytes: int | None


class Outcome(Enum):
    """What publishing changed: UNCHANGED if the same version was already completely published."""

    CREATED = "created"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Published:
    """The stored document and the outcome of publishing it."""

    document: Document
    outcome: Outcome


class Index(Protocol):
    """One open index.

    Reads see only published points, and with a scope only those within it. An acknowledged write is
    durable: it survives kill -9 of the process.
    """

    @property
    def spec(self) -> IndexSpec:
        """The definition that the index was created with."""
        ...

    @property
    def version(self) -> str:
        """Identifies the published data; changes whenever it does and is never reused after a restart."""
        ...

    async def candidates(self, scope: Scope, query: Query, limit: int) -> Candidates:
        """The `limit` best passages by cosine and by BM25 with IDF, each best first, ties by id.

        With both, also the terms of the best one by BM25, read together with it.
        """
        ...

    async def passages(self, scope: Scope, ids: Sequence[str]) -> list[Passage]:
        """The passages with these ids, in the same order; missing and out-of-scope ones are omitted."""
        ...

    async def sparse_vectors(self, scope: Scope, ids: Sequence[str]) -> dict[str, SparseVector]:
        """The sparse vectors of these passages by id, to determine which terms matched."""
        ...

    async def stage(self, document: Document, chunks: Sequence[VectorChunk]) -> None:
        """Store some chunks of a version, invisible to every read until it is published.

        Does nothing if that version is already published.
        """
        ...

    async def publish(self, document: Document) -> Published:
        """Make this version visible and remove every earlier version of the document.

        A concurrent read always finds one of the two versions. If the process dies midway, publishing
        again completes the change. If several calls publish the same version concurrently, one of them
        creates or replaces the document and the others return UNCHANGED. Raises DocumentConflict, and
        publishes nothing, if another call concurrently published another version or removed the
        document.
        """
        ...

    async def discard(self, document: Document) -> None:
        """Remove the staged chunks of a version that will not be published."""
        ...

    async def delete(self, key: DocumentKey) -> int | None:
        """Remove a document with all its chunks and return the number of its published chunks.

        Returns None if the document does not exist. Raises DocumentConflict, and removes nothing, if
        another call concurrently published a version.
        """
        ...

    async def document(self, key: DocumentKey) -> Document | None:
        """The published document, None if there is none."""
        ...

    async def documents(self, scope: Scope, after: str, limit: int) -> tuple[list[Document], str]:
        """Up to `limit` documents after the page token `after`, and the next page token.

        The order is stable; the next token is empty on the last page.
        """
        ...

    async def chunks(self, key: DocumentKey, first: int, limit: int) -> list[Passage]:
        """Published chunks with ordinals `first` to `first + limit - 1`, in order."""
        ...

    async def count(self, scope: Scope) -> tuple[int, int]:
        """The numbers of published documents and chunks within the scope."""
        ...

    async def existing_collections(self, tenant: str, collections: Sequence[str]) -> set[str]:
        """The subset of `collections` in which the tenant has a published document."""
        ...


class Catalog(Protocol):
    """All indexes. The alias `default` refers to the first index created, until it is switched.

    Every method raises IndexNotFound for an unknown name and Unavailable if the engine does not
    respond. An empty name means `default`.
    """

    async def create(self, spec: IndexSpec) -> IndexInfo:
        """Create an index; does nothing if an identical one exists.

        Raises EmbeddingMismatch if the name is in use with another definition.
        """
        ...

    async def open(self, name: str, max_age: float = 0.0) -> Index:
        """The index with that name.

        Of `default` it may be the one of `max_age` seconds ago, if another process switched it since.
        """
        ...

    async def describe(self, name: str) -> IndexInfo:
        """An index's definition and current state."""
        ...

    async def list_indexes(self) -> list[IndexInfo]:
        """All indexes in order of their names."""
        ...

    async def stats(self, name: str) -> IndexStats:
        """Counts of an index. Cheap: reads no points."""
        ...

    async def drift(self, name: str) -> int | None:
        """The number of searchable chunks minus the number that the documents declare; 0 if consistent.

        Reads every document's record, page by page, and yields to other work in between. None if the
        index was written to meanwhile, so that the two numbers cannot be compared.
        """
        ...

    async def optimize(self, name: str) -> IndexInfo:
        """Build the search graph while reads and writes continue.

        Raises ReindexRunning if it is already being built.
        """
        ...

    async def switch(self, name: str) -> IndexInfo:
        """Point `default` to this index, effective for every later call."""
        ...

    async def drop(self, name: str) -> None:
        """Remove an index. Raises IndexIsDefault if `default` refers to it."""
        ...
