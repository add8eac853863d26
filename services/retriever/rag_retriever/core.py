"""The retriever's work: search with fusion and reasons, and documents replaced without a gap."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Protocol

from rag_common import errors
from rag_retriever.filters import Scope
from rag_retriever.fusion import Fused, Method, fuse, single
from rag_retriever.passages import (
    Candidates,
    Document,
    DocumentKey,
    Passage,
    Query,
    VectorChunk,
)
from rag_retriever.ports import Catalog, Index, IndexInfo, IndexSpec
from rag_retriever.splitting import Document as File
from rag_retriever.splitting import Split

# A document may be replaced between finding its passages and reading them: then they are looked for again.
_AGAIN = 2


class Splitting(Protocol):
    """Reads and cuts files. Raises InvalidArgument, Overloaded, Unavailable."""

    async def split(self, document: File) -> Split: ...


@dataclass(frozen=True, slots=True)
class Search:
    """A search: `terms` spells the sparse query's indices, for explaining."""

    index: str
    scope: Scope
    query: Query
    fingerprint: str
    top_k: int = 10
    candidates: int = 50
    method: Method = Method.POSTERIOR
    min_score: float | None = None
    explain: bool = False
    terms: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage found, with its place in each list, and the query's terms in it if asked for."""

    passage: Passage
    fused: Fused
    matched: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """Hits, best first; seconds by stage; what was searched."""

    hits: list[Hit]
    seconds: dict[str, float]
    index_version: str


class Retriever:
    """Works on the indexes of a catalog. Every method raises IndexNotFound and Unavailable."""

    def __init__(self, catalog: Catalog, splitting: Splitting) -> None:
        self.catalog = catalog
        self._splitting = splitting

    async def search(self, search: Search) -> Found:
        """The passages nearest to the query within its scope. Raises EmbeddingMismatch."""
        index = await self._fitting(search.index, search.fingerprint, search.query.dense)
        found, whole = await _found(index, search)
        for _ in range(_AGAIN):
            if whole:
                break
            found, whole = await _found(index, search)
        return found

    async def split(self, file: File) -> Split:
        """A file's text and chunks; stores nothing. Raises InvalidArgument."""
        return await self._splitting.split(file)

    async def upsert(
        self,
        index_name: str,
        document: Document,
        fingerprint: str,
        batches: AsyncIterator[Sequence[VectorChunk]],
    ) -> tuple[Document, bool]:
        """Store a document; when the batches end well it takes the place of the former version.

        Gives the document as stored, and whether there was a former one. Raises EmbeddingMismatch,
        InvalidArgument where the batches are not what the document announces.
        """
        index = await self._fitting(index_name, fingerprint, None)
        former = await index.document(document.key)
        try:
            await _stage(index, document, batches)
            stored = replace(document, updated=datetime.now(UTC))
            await index.publish(stored)
        except BaseException:
            if former is None or former.version != document.version:
                await index.discard(document)
            raise
        return stored, former is not None

    async def delete(self, index_name: str, key: DocumentKey) -> int:
        """Remove a document; how many chunks went with it. Raises NotFound."""
        index = await self.catalog.open(index_name)
        removed = await index.delete(key)
        if removed is None:
            raise _no_document(key)
        return removed

    async def document(self, index_name: str, key: DocumentKey) -> Document:
        """What is known of a document. Raises NotFound."""
        index = await self.catalog.open(index_name)
        found = await index.document(key)
        if found is None:
            raise _no_document(key)
        return found

    async def documents(
        self, index_name: str, scope: Scope, after: str, limit: int
    ) -> tuple[list[Document], str]:
        """A page of documents and the token of the next."""
        index = await self.catalog.open(index_name)
        return await index.documents(scope, after, limit)

    async def chunks(
        self, index_name: str, key: DocumentKey, first: int, limit: int
    ) -> list[Passage]:
        """A document's chunks in order. Raises NotFound."""
        index = await self.catalog.open(index_name)
        found = await index.chunks(key, first, limit)
        if not found and await index.document(key) is None:
            raise _no_document(key)
        return found

    async def count(self, index_name: str, scope: Scope) -> tuple[int, int]:
        """How many documents and chunks are within the scope."""
        index = await self.catalog.open(index_name)
        return await index.count(scope)

    async def create(self, spec: IndexSpec) -> IndexInfo:
        """Make an index; nothing happens where the same is there. Raises EmbeddingMismatch."""
        return await self.catalog.create(spec)

    async def _fitting(self, name: str, fingerprint: str, dense: bytes | None) -> Index:
        index = await self.catalog.open(name)
        spec = index.spec
        if fingerprint != spec.fingerprint:
            raise errors.EmbeddingMismatch(
                "these vectors come from another model than the index's; reindex, or go back",
                metadata={
                    "subject": spec.name,
                    "index_fingerprint": spec.fingerprint,
                    "query_fingerprint": fingerprint,
                },
            )
        if dense is not None and len(dense) != 4 * spec.dimensions:
            raise errors.InvalidArgument.of(
                "dense",
                f"has {len(dense)} bytes; {spec.dimensions} float32 are {4 * spec.dimensions}",
            )
        return index


async def _found(index: Index, search: Search) -> tuple[Found, bool]:
    """What a search finds, and whether all of it could still be read."""
    version = index.version
    lists = await index.candidates(search.scope, search.query, search.candidates)
    began = monotonic()
    coverage = await _coverage(index, search, lists)
    fused = _above(_one_list(search, lists, coverage), search.min_score)
    fused_at = monotonic()
    hits = await _read(index, search, fused)
    seconds = {
        "dense": lists.dense_seconds,
        "sparse": lists.sparse_seconds,
        "fusion": fused_at - began,
        "payload": monotonic() - fused_at,
    }
    return Found(hits, seconds, version), len(hits) == len(fused)


async def _coverage(index: Index, search: Search, lists: Candidates) -> float:
    """The share of the query's terms that the first passage of the sparse list holds."""
    if not lists.sparse or not lists.dense:
        return 1.0
    first = lists.sparse[0].id
    vectors = await index.sparse_vectors(search.scope, [first])
    asked = search.query.sparse.indices if search.query.sparse else ()
    held = set(vectors[first].indices) if first in vectors else set()
    return sum(term in held for term in asked) / len(asked)


def _one_list(search: Search, lists: Candidates, coverage: float) -> list[Fused]:
    if search.query.dense is None or search.query.sparse is None:
        return single(dense=lists.dense, sparse=lists.sparse, limit=search.top_k)
    terms = len(search.query.sparse.indices)
    return fuse(
        lists.dense,
        lists.sparse,
        search.method,
        query_terms=terms,
        coverage=coverage,
        limit=search.top_k,
    )


def _above(fused: list[Fused], least: float | None) -> list[Fused]:
    return fused if least is None else [item for item in fused if item.score >= least]


async def _read(index: Index, search: Search, fused: Sequence[Fused]) -> list[Hit]:
    if not fused:
        return []
    ids = [item.id for item in fused]
    passages = {item.id: item for item in await index.passages(search.scope, ids)}
    matched = await _matched(index, search, ids) if search.explain else {}
    return [
        Hit(passages[item.id], item, matched.get(item.id, ()))
        for item in fused
        if item.id in passages
    ]


async def _matched(index: Index, search: Search, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    vectors = await index.sparse_vectors(search.scope, ids)
    return {
        id: tuple(search.terms[i] for i in vector.indices if i in search.terms)
        for id, vector in vectors.items()
    }


async def _stage(
    index: Index, document: Document, batches: AsyncIterator[Sequence[VectorChunk]]
) -> None:
    expected = 0
    async for batch in batches:
        for item in batch:
            if item.chunk.ordinal != expected:
                raise errors.InvalidArgument.of("chunks", f"chunk {expected} is missing")
            expected += 1
        await index.stage(document, batch)
    if expected != document.passage_count:
        raise errors.InvalidArgument.of(
            "chunks", f"has {expected} chunks; the document announces {document.passage_count}"
        )


def _no_document(key: DocumentKey) -> errors.NotFound:
    return errors.NotFound(
        "there is no such document",
        metadata={"collection": key.collection, "document_id": key.document_id},
    )
