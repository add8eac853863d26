"""The data model of the index: documents, chunks with their vectors, queries and passages."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeAlias

MetadataValue: TypeAlias = str | float | bool | list[str] | list[float]

_NAMESPACE = uuid.UUID("5a1f4f0e-3c0b-5d5c-9a55-6d1d6f1c2b7e")


@dataclass(frozen=True, slots=True)
class Location:
    """Where in its file a chunk is: rows of a sheet, from 1, or a message's attachment; else empty or 0."""

    sheet: str = ""
    first_row: int = 0
    last_row: int = 0
    attachment: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Code points [start, end) of the document's NFC text, UTF-8 bytes [start_byte, end_byte).

    `text` is exactly that slice. `headings` lists the enclosing headings, outermost first. `page` is
    the page or slide on which the chunk begins, None if the format has none. Chunks of a document are
    numbered by `ordinal` from 0.
    """

    ordinal: int
    text: str
    start: int
    end: int
    start_byte: int
    end_byte: int
    headings: tuple[str, ...] = ()
    page: int | None = None
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class DocumentKey:
    """Identifies a document: `document_id` is unique only within a tenant's collection."""

    tenant: str
    collection: str
    document_id: str

    def point_id(self, *parts: object) -> str:
        """A UUID for the document (without `parts`) or for a part of it; unique across tenants."""
        names = [self.tenant, self.collection, self.document_id, *map(str, parts)]
        # Each name is prefixed by its length, so that no two lists of names encode alike.
        return str(uuid.uuid5(_NAMESPACE, "".join(f"{len(name)}:{name}" for name in names)))


@dataclass(frozen=True, slots=True)
class ReadingWarning:
    """A part of a document that could not be read: a constant, its description in two languages, pages."""

    reason: str
    description: str
    description_ko: str
    pages: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A document's attributes without its text. `version` is a hash of content and metadata."""

    key: DocumentKey
    version: str
    title: str
    uri: str
    media_type: str
    metadata: Mapping[str, MetadataValue]
    passage_count: int
    character_count: int
    updated: datetime
    warnings: tuple[ReadingWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Unique term hashes in ascending order, with their weights."""

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
    """A search query with at least one vector; `dense` is float32, little-endian."""

    dense: bytes | None
    sparse: SparseVector | None


class Hit(NamedTuple):
    """A candidate passage with its raw score (cosine similarity or BM25).

    `key` is the number of the passage's id, which is a UUID: of a hundred candidates, ten are returned,
    and only these need their ids as text.
    """

    key: int
    score: float

    @property
    def passage_id(self) -> str:
        """The passage's id."""
        return passage_id(self.key)


def passage_id(key: int) -> str:
    """The passage id of this number."""
    return str(uuid.UUID(int=key))


@dataclass(frozen=True, slots=True)
class Candidates:
    """The dense and sparse results of a query, best first, and the seconds that each took.

    A list is empty if the query has no vector of that kind. `best_terms` are the terms of the best
    sparse passage; it is empty unless there are both lists.
    """

    dense: tuple[Hit, ...]
    sparse: tuple[Hit, ...]
    dense_seconds: float
    sparse_seconds: float
    best_terms: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Passage:
    """A stored chunk together with its document's attributes."""

    passage_id: str
    document: Document
    chunk: Chunk
