"""Documents, chunks and queries for the engines' contract: random vectors from fixed seeds."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from rag_retriever.index.filters import Scope
from rag_retriever.index.model import (
    Chunk,
    Document,
    DocumentKey,
    MetadataValue,
    Query,
    SparseVector,
    VectorChunk,
)
from rag_retriever.index.ports import Index, IndexSpec

DIMENSIONS = 16
SPEC = IndexSpec("main", DIMENSIONS, "fingerprint-a")
UPDATED = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
TEAM = Scope("team")


def vector(seed: int) -> bytes:
    """A unit vector, always the same for a seed."""
    values = np.random.default_rng(seed).standard_normal(DIMENSIONS)
    return (values / np.linalg.norm(values)).astype("<f4").tobytes()


def chunk(
    ordinal: int, seed: int = 0, terms: dict[int, float] | None = None, text: str | None = None
) -> VectorChunk:
    words = text if text is not None else f"문단 {ordinal}"
    weights = terms if terms is not None else {1: 1.0}
    headings = ("제1장", "제2절")
    return VectorChunk(
        Chunk(ordinal, words, 0, len(words), 0, len(words.encode()), headings, ordinal + 1),
        vector(seed * 1000 + ordinal),
        SparseVector(tuple(weights), tuple(weights.values())),
    )


def document(
    name: str = "doc",
    version: str = "v1",
    tenant: str = "team",
    collection: str = "wiki",
    passages: int = 1,
    metadata: Mapping[str, MetadataValue] | None = None,
) -> Document:
    key, title, uri = DocumentKey(tenant, collection, name), f"제목 {name}", f"https://x/{name}"
    return Document(key, version, title, uri, "text/plain", metadata or {}, passages, 99, UPDATED)


async def put(index: Index, of: Document, chunks: Sequence[VectorChunk] = ()) -> Document:
    """Stage and publish; chunks as many as the document says where none are given."""
    await index.stage(of, chunks or [chunk(ordinal) for ordinal in range(of.passage_count)])
    await index.publish(of)
    return of


async def found(index: Index, scope: Scope = TEAM, limit: int = 100) -> set[str]:
    """The ids that both lists find, which must be the same: the query matches each sample."""
    query = Query(vector(0), SparseVector((1,), (1.0,)))
    lists = await index.candidates(scope, query, limit)
    dense, sparse = (
        {hit.passage_id for hit in lists.dense},
        {hit.passage_id for hit in lists.sparse},
    )
    assert dense == sparse
    return dense


async def found_documents(index: Index, scope: Scope) -> set[str]:
    """The document ids behind what is found."""
    passages = await index.passages(scope, sorted(await found(index, scope)))
    return {passage.document.key.document_id for passage in passages}
