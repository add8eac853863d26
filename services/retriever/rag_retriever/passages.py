"""What the index stores and gives back: documents, chunks with their vectors, and passages."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from rag_retriever.chunking import Chunk

MetadataValue: TypeAlias = str | float | bool | list[str] | list[float]

_NAMESPACE = uuid.UUID("5a1f4f0e-3c0b-5d5c-9a55-6d1d6f1c2b7e")


@dataclass(frozen=True, slots=True)
class DocumentKey:
    """What makes a document one and the same: its id is unique in its tenant's collection only."""

    tenant: str
    collection: str
    document_id: str

    def point_id(self, *parts: object) -> str:
        """A UUID for the document (no parts), or for a part of it; never the same in two tenants."""
        names = [self.tenant, self.collection, self.document_id, *map(str, parts)]
        # With its length before it, no name can run into the next one, whatever is in it.
        return str(uuid.uuid5(_NAMESPACE, "".join(f"{len(name)}:{name}" for name in names)))


@dataclass(frozen=True, slots=True)
class Document:
    """A document without its text. `version` is a hash of content and metadata."""

    key: DocumentKey
    version: str
    title: str
    uri: str
    media_type: str
    metadata: Mapping[str, MetadataValue]
    passage_count: int
    character_count: int
    updated: datetime


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Term hashes, ascending and each once, with their weights."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class VectorChunk:
    """A chunk with its vectors; `dense` is float32, little-endian."""

    chunk: Chunk
    dense: bytes
    sparse: SparseVector


@dataclass(frozen=True, slots=True)
class Query:
    """At least one vector; `dense` is float32, little-endian."""

    dense: bytes | None
    sparse: SparseVector | None


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage of a list, by id, with its raw score (cosine or BM25)."""

    id: str
    score: float


@dataclass(frozen=True, slots=True)
class Candidates:
    """Both lists of a query, best first; seconds spent on each. A list not asked for is empty."""

    dense: tuple[Hit, ...]
    sparse: tuple[Hit, ...]
    dense_seconds: float
    sparse_seconds: float


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as it is given back, with what is known of its document."""

    id: str
    document: Document
    chunk: Chunk
