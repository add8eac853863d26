"""One index on the embedded engine.

Reads run in the caller's thread: each engine call holds the GIL, so another thread would only add
overhead. Writes run sequentially in the catalog's writer thread.
"""

from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from time import perf_counter
from typing import Any, ParamSpec, Protocol, TypeVar

import qdrant_edge as edge

from rag_contract.errors import EmbeddingMismatch, FieldInvalid
from rag_retriever.engines import predicates
from rag_retriever.engines.edge.corpus_idf import CorpusIdf, corpus
from rag_retriever.engines.edge.engine import (
    all_of,
    dense_request,
    sparse_of,
    sparse_request,
    to_filter,
)
from rag_retriever.engines.edge.shard import Shard
from rag_retriever.engines.edge.writer import Writer
from rag_retriever.engines.payload import (
    CHUNK,
    DOCUMENT,
    SAMPLE,
    SCOPE,
    SPARSE,
    Payload,
    document_from,
    is_point_id,
    passage_from,
)
from rag_retriever.index.filters import Filter, Scope
from rag_retriever.index.model import (
    Candidates,
    Document,
    DocumentKey,
    Hit,
    Passage,
    Query,
    SparseVector,
    VectorChunk,
)
from rag_retriever.index.ports import IndexSpec, Published

_T = TypeVar("_T")
_P = ParamSpec("_P")

_EVERYTHING = Filter()


class WriterThread(Protocol):
    """Runs a change in the writer thread."""

    def __call__(
        self, change: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> Awaitable[_T]: ...


class EdgeIndex:
    """An index on the embedded engine.

    The IDF of terms is computed over the tenant's passages only (see `corpus_idf`), so that scores reveal
    nothing about other tenants.
    """

    def __init__(self, spec: IndexSpec, shard: Shard, writer: Writer, write: WriterThread) -> None:
        self._spec = spec
        self._shard = shard
        self._writer = writer
        self._write = write
        # An index of an earlier release has no samples.
        self._idf = CorpusIdf(sampled=SAMPLE in shard.indexed_fields)

    @property
    def spec(self) -> IndexSpec:
        return self._spec

    @property
    def version(self) -> str:
        return self._shard.version

    async def candidates(self, scope: Scope, query: Query, limit: int) -> Candidates:
        if query.dense is not None and len(query.dense) != 4 * self._spec.dimensions:
            raise EmbeddingMismatch(
                f"this index holds vectors of {self._spec.dimensions} dimensions"
            )
        where = corpus(scope.tenant, scope.collections)
        if scope.filter != _EVERYTHING:
            where = to_filter(predicates.scope_filter(scope, CHUNK))
        started = perf_counter()
        with self._shard.reading() as engine:
            dense = _hits(engine, dense_request(query.dense, where, limit)) if query.dense else ()
            between = perf_counter()
            sparse: tuple[Hit, ...] = ()
            if query.sparse and query.sparse.indices:
                vector, within = self._idf.apply(engine, scope, query.sparse, self._shard.version)
                sparse = _hits(engine, sparse_request(vector, where, limit, within))
            ended = perf_counter()
            terms = _terms(engine, sparse[0].passage_id) if dense and sparse else frozenset()
        return Candidates(dense, sparse, between - started, ended - between, terms)

    async def passages(self, scope: Scope, ids: Sequence[str]) -> list[Passage]:
        if scope.filter != _EVERYTHING:
            records = self._records(scope, ids, payload=True)
            payloads = {str(record.id): record.payload or {} for record in records}
        else:
            payloads = self._payloads(scope, ids)
        return [passage_from(one, payloads[one]) for one in ids if one in payloads]

    async def sparse_vectors(self, scope: Scope, ids: Sequence[str]) -> dict[str, SparseVector]:
        records = self._records(scope, ids, vector=[SPARSE])
        return {str(record.id): sparse_of(record) for record in records}

    async def document(self, key: DocumentKey) -> Document | None:
        with self._shard.reading() as engine:
            records = engine.retrieve([key.point_id()], [DOCUMENT], False)
        return document_from(records[0].payload or {}) if records else None

    async def documents(self, scope: Scope, after: str, limit: int) -> tuple[list[Document], str]:
        if after and not is_point_id(after):
            raise FieldInvalid.of("page_token", "must be a next_page_token of an earlier response")
        request = edge.ScrollRequest(
            offset=after or None,
            limit=limit,
            filter=to_filter(predicates.scope_filter(scope, DOCUMENT)),
            with_payload=[DOCUMENT],
        )
        with self._shard.reading() as engine:
            records, following = engine.scroll(request)
        documents = [document_from(record.payload or {}) for record in records]
        return documents, "" if following is None else str(following)

    async def chunks(self, key: DocumentKey, first: int, limit: int) -> list[Passage]:
        with self._shard.reading() as engine:
            records = engine.retrieve([key.point_id()], [DOCUMENT], False)
            if not records:
                return []
            document = document_from(records[0].payload or {})
            ordinals = range(first, min(first + limit, document.passage_count))
            ids = [key.point_id(document.version, ordinal) for ordinal in ordinals]
            chunks = engine.retrieve(list(ids), True, False)
        passages = [passage_from(str(one.id), one.payload or {}) for one in chunks]
        return sorted(passages, key=lambda passage: passage.chunk.ordinal)

    async def count(self, scope: Scope) -> tuple[int, int]:
        documents, chunks = (
            to_filter(predicates.scope_filter(scope, kind)) for kind in (DOCUMENT, CHUNK)
        )
        with self._shard.reading() as engine:
            return (
                engine.count(edge.CountRequest(filter=documents)),
                engine.count(edge.CountRequest(filter=chunks)),
            )

    async def existing_collections(self, tenant: str, collections: Sequence[str]) -> set[str]:
        existing = set()
        with self._shard.reading() as engine:
            for name in collections:
                where = all_of(predicates.in_scope(Scope(tenant, (name,)), DOCUMENT))
                request = edge.ScrollRequest(
                    limit=1, filter=where, with_payload=False, with_vector=False
                )
                if engine.scroll(request)[0]:
                    existing.add(name)
        return existing

    async def stage(self, document: Document, chunks: Sequence[VectorChunk]) -> None:
        await self._write(self._writer.stage, document, chunks)

    async def publish(self, document: Document) -> Published:
        return await self._write(self._writer.publish, document)

    async def discard(self, document: Document) -> None:
        await self._write(self._writer.discard, document)

    async def delete(self, key: DocumentKey) -> int | None:
        return await self._write(self._writer.delete, key)

    def _payloads(self, scope: Scope, ids: Sequence[str]) -> dict[str, Payload]:
        """The payloads of those of these points that are in the scope, whose filter is empty.

        Reading points by their ids and then looking at their scope takes half the time of a filter.
        """
        visible = predicates.in_scope(scope, CHUNK).values
        with self._shard.reading() as engine:
            records = engine.retrieve([one for one in ids if is_point_id(one)], True, False)
        return {
            str(record.id): payload
            for record in records
            if (payload := record.payload) and not set(visible).isdisjoint(payload[SCOPE])
        }

    def _records(
        self,
        scope: Scope,
        ids: Sequence[str],
        payload: bool = False,
        vector: list[str] | bool = False,
    ) -> list[edge.Record]:
        valid_ids = [one for one in ids if is_point_id(one)]
        if not valid_ids:
            return []
        where = to_filter(predicates.scope_filter(scope, CHUNK), valid_ids)
        request = edge.ScrollRequest(
            limit=len(valid_ids), filter=where, with_payload=payload, with_vector=vector
        )
        with self._shard.reading() as engine:
            return engine.scroll(request)[0]


def _hits(engine: edge.EdgeShard, request: edge.QueryRequest) -> tuple[Hit, ...]:
    # The ids of this engine's indexes are UUIDs, never numbers.
    points: list[Any] = engine.query(request)
    hits = [Hit(point.id.int, point.score) for point in points]
    if any(hit.score <= following.score for hit, following in pairwise(hits)):
        hits.sort(key=lambda hit: (-hit.score, hit.key))
    return tuple(hits)


def _terms(engine: edge.EdgeShard, passage_id: str) -> frozenset[int]:
    [record] = engine.retrieve([passage_id], False, [SPARSE])
    return frozenset(sparse_of(record).indices)
