"""The search service: hybrid search with explanations, and atomic replacement of documents."""

import logging
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic

from rag_contract import errors
from rag_retriever.index.filters import Scope
from rag_retriever.index.model import (
    Candidates,
    Document,
    DocumentKey,
    Passage,
    Query,
    VectorChunk,
    passage_id,
)
from rag_retriever.index.ports import Catalog, Index, IndexInfo, IndexSpec, Published
from rag_retriever.search.fusion import Fused, Method, fuse, single

log = logging.getLogger(__name__)

# A document may be replaced between the query and reading its passages; the search is then repeated.
_MAX_RETRIES = 2
# A search may read the former default index for so long; an upload must not go to it.
_ALIAS_SECONDS = 1.0
# Callers send chunks in small messages; on a Qdrant server each write costs as much as some 20 chunks.
_MIN_STAGED = 128


@dataclass(frozen=True, slots=True)
class Search:
    """The parameters of a search.

    `terms` maps the sparse query's indices to words; `explain` reports which of them each hit
    contains. `min_score` None keeps all hits. The tenant must have a document in each of the
    `required_collections`.
    """

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
    required_collections: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A passage with its scores and ranks, and the query terms in it if `explain` was set."""

    passage: Passage
    fused: Fused
    matched: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits, best first; seconds spent by stage; the version of the index that was searched."""

    hits: list[SearchHit]
    seconds: dict[str, float]
    index_version: str


class Retriever:
    """Searches and changes the indexes of a catalog. Every method raises IndexNotFound and Unavailable."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._uploads: Counter[tuple[str, DocumentKey, str]] = Counter()

    async def search(self, search: Search) -> SearchResult:
        """The best passages for the query within its scope.

        Raises EmbeddingMismatch, and CollectionNotFound for a required collection without documents.
        """
        index = await self._open_compatible(
            search.index, search.fingerprint, search.query.dense, _ALIAS_SECONDS
        )
        result, complete = await _search_once(index, search)
        for _ in range(_MAX_RETRIES):
            if complete:
                break
            result, complete = await _search_once(index, search)
        present = {hit.passage.document.key.collection for hit in result.hits}
        unconfirmed = [name for name in search.required_collections if name not in present]
        await _require_collections(index, search.scope.tenant, unconfirmed)
        return result

    async def upsert(
        self,
        index_name: str,
        document: Document,
        fingerprint: str,
        batches: AsyncIterator[Sequence[VectorChunk]],
    ) -> Published:
        """Stage a document's chunks, then publish it, which replaces the former version.

        Raises EmbeddingMismatch, InvalidArgument if the chunks are not as many as the document
        declares or not in order, and DocumentConflict if another call changed the document meanwhile.
        """
        index = await self._open_compatible(index_name, fingerprint, None)
        upload = (index.spec.name, document.key, document.version)
        self._uploads[upload] += 1
        try:
            await _stage(index, document, batches)
            return await index.publish(replace(document, updated=datetime.now(UTC)))
        except BaseException:
            # Concurrent uploads of one version share its staged chunks: only the last of them removes these.
            if self._uploads[upload] == 1:
                await _discard(index, document)
            raise
        finally:
            self._uploads -= Counter([upload])

    async def delete(self, index_name: str, key: DocumentKey) -> int:
        """Remove a document and return the number of its chunks. Raises NotFound, DocumentConflict."""
        index = await self.catalog.open(index_name)
        removed = await index.delete(key)
        if removed is None:
            raise _document_not_found(key)
        return removed

    async def document(self, index_name: str, key: DocumentKey) -> Document:
        """A document's attributes. Raises NotFound."""
        index = await self.catalog.open(index_name)
        document = await index.document(key)
        if document is None:
            raise _document_not_found(key)
        return document

    async def documents(
        self, index_name: str, scope: Scope, after: str, limit: int
    ) -> tuple[list[Document], str]:
        """A page of documents and the next page token, empty on the last page."""
        index = await self.catalog.open(index_name)
        return await index.documents(scope, after, limit)

    async def chunks(
        self, index_name: str, key: DocumentKey, first: int, limit: int
    ) -> list[Passage]:
        """Up to `limit` chunks of a document from ordinal `first`, in order. Raises NotFound."""
        index = await self.catalog.open(index_name)
        passages = await index.chunks(key, first, limit)
        if not passages and await index.document(key) is None:
            raise _document_not_found(key)
        return passages

    async def count(
        self, index_name: str, scope: Scope, required_collections: Sequence[str] = ()
    ) -> tuple[int, int]:
        """The numbers of documents and chunks within the scope.

        Raises CollectionNotFound for a required collection without documents.
        """
        index = await self.catalog.open(index_name)
        await _require_collections(index, scope.tenant, required_collections)
        return await index.count(scope)

    async def create(self, spec: IndexSpec) -> IndexInfo:
        """Create an index; does nothing if an identical one exists. Raises EmbeddingMismatch."""
        return await self.catalog.create(spec)

    async def _open_compatible(
        self, name: str, fingerprint: str, dense: bytes | None, max_age: float = 0.0
    ) -> Index:
        index = await self.catalog.open(name, max_age)
        spec = index.spec
        if fingerprint != spec.fingerprint:
            raise errors.EmbeddingMismatch(
                "these vectors come from another model than the index's; reindex or restore the former model",
                metadata={
                    "subject": spec.name,
                    "index_fingerprint": spec.fingerprint,
                    "query_fingerprint": fingerprint,
                },
            )
        if dense is not None and len(dense) != 4 * spec.dimensions:
            raise errors.FieldInvalid.of(
                "dense",
                f"has {len(dense)} bytes; {spec.dimensions} float32 are {4 * spec.dimensions}",
            )
        return index


async def _search_once(index: Index, search: Search) -> tuple[SearchResult, bool]:
    """The search result, and whether every passage of it could still be read."""
    version = index.version
    lists = await index.candidates(search.scope, search.query, search.candidates)
    began = monotonic()
    coverage = _coverage(search, lists)
    fused = _above_min_score(_rank(search, lists, coverage), search.min_score)
    fused_at = monotonic()
    hits = await _read_hits(index, search, fused)
    seconds = {
        "dense": lists.dense_seconds,
        "sparse": lists.sparse_seconds,
        "fusion": fused_at - began,
        "payload": monotonic() - fused_at,
    }
    return SearchResult(hits, seconds, version), len(hits) == len(fused)


async def _require_collections(index: Index, tenant: str, names: Sequence[str]) -> None:
    """Raises CollectionNotFound, with the first unknown collection in its metadata."""
    if not names:
        return
    existing = await index.existing_collections(tenant, names)
    unknown = [name for name in names if name not in existing]
    if unknown:
        raise errors.CollectionNotFound(
            f"there is no collection {', '.join(unknown)}", metadata={"collection": unknown[0]}
        )


def _coverage(search: Search, lists: Candidates) -> float:
    """The share of the query's terms that the best sparse candidate contains; 1 without both lists."""
    if not lists.sparse or not lists.dense or not search.query.sparse:
        return 1.0
    query_terms = search.query.sparse.indices
    return sum(term in lists.best_terms for term in query_terms) / len(query_terms)


def _rank(search: Search, lists: Candidates, coverage: float) -> list[Fused]:
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


def _above_min_score(fused: list[Fused], min_score: float | None) -> list[Fused]:
    return fused if min_score is None else [item for item in fused if item.score >= min_score]


async def _read_hits(index: Index, search: Search, fused: Sequence[Fused]) -> list[SearchHit]:
    if not fused:
        return []
    ids = [passage_id(item.key) for item in fused]
    passages = {item.passage_id: item for item in await index.passages(search.scope, ids)}
    matched = await _matched(index, search, ids) if search.explain else {}
    return [
        SearchHit(passages[one], item, matched.get(one, ()))
        for one, item in zip(ids, fused, strict=True)
        if one in passages
    ]


async def _matched(index: Index, search: Search, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    vectors = await index.sparse_vectors(search.scope, ids)
    return {
        one: tuple(search.terms[i] for i in vector.indices if i in search.terms)
        for one, vector in vectors.items()
    }


async def _stage(
    index: Index, document: Document, batches: AsyncIterator[Sequence[VectorChunk]]
) -> None:
    expected = 0
    waiting: list[VectorChunk] = []
    async for batch in batches:
        for item in batch:
            if item.chunk.ordinal != expected:
                raise errors.FieldInvalid.of("chunks", f"chunk {expected} is missing")
            expected += 1
        waiting += batch
        if len(waiting) >= _MIN_STAGED:
            await index.stage(document, waiting)
            waiting = []
    if waiting:
        await index.stage(document, waiting)
    if expected != document.passage_count:
        raise errors.FieldInvalid.of(
            "chunks", f"has {expected} chunks; the document declares {document.passage_count}"
        )


async def _discard(index: Index, document: Document) -> None:
    """Remove the staged chunks. A failure is logged only, so that the upload's own error propagates."""
    try:
        await index.discard(document)
    except Exception as error:
        log.warning("staged chunks were not discarded: %s", type(error).__name__)


def _document_not_found(key: DocumentKey) -> errors.NotFound:
    return errors.DocumentNotFound(
        "document not found",
        metadata={"collection": key.collection, "document_id": key.document_id},
    )
