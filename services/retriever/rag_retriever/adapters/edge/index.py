"""One index on the embedded engine.

Reads run where they are called: each engine call holds the interpreter, so a thread would add a hop
and free nothing. Writes run one after the other in the catalog's writer thread.
"""

from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import ParamSpec, Protocol, TypeVar

import qdrant_edge as edge

from rag_common.errors import EmbeddingMismatch, InvalidArgument
from rag_retriever.adapters import matching
from rag_retriever.adapters.edge.engine import dense_request, filtered, having, sparse_request
from rag_retriever.adapters.edge.shard import Shard
from rag_retriever.adapters.edge.writing import Writer
from rag_retriever.adapters.payload import (
    CHUNK,
    DOCUMENT,
    SPARSE,
    document_from,
    is_id,
    passage_from,
)
from rag_retriever.filters import Scope
from rag_retriever.passages import (
    Candidates,
    Document,
    DocumentKey,
    Hit,
    Passage,
    Query,
    SparseVector,
    VectorChunk,
)
from rag_retriever.ports import IndexSpec

_T = TypeVar("_T")
_P = ParamSpec("_P")


class WriterThread(Protocol):
    """Runs a change in the one thread that writes."""

    def __call__(
        self, change: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> Awaitable[_T]: ...


class EdgeIndex:
    """`tenant_idf` counts terms in the tenant's passages alone: no score tells of other tenants."""

    def __init__(
        self, spec: IndexSpec, shard: Shard, writer: Writer, write: WriterThread, tenant_idf: bool
    ) -> None:
        self._spec = spec
        self._shard = shard
        self._writer = writer
        self._write = write
        self._tenant_idf = tenant_idf

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
        where = filtered(matching.matches(scope, CHUNK))
        corpus = having(matching.within(scope, CHUNK)) if self._tenant_idf else None
        started = perf_counter()
        with self._shard.reading() as engine:
            dense = _hits(engine, dense_request(query.dense, where, limit)) if query.dense else ()
            between = perf_counter()
            sparse = (
                _hits(engine, sparse_request(query.sparse, where, limit, corpus))
                if query.sparse and query.sparse.indices
                else ()
            )
        return Candidates(dense, sparse, between - started, perf_counter() - between)

    async def passages(self, scope: Scope, ids: Sequence[str]) -> list[Passage]:
        records = self._records(scope, ids, payload=True)
        found = {str(record.id): record.payload or {} for record in records}
        return [passage_from(id, found[id]) for id in ids if id in found]

    async def sparse_vectors(self, scope: Scope, ids: Sequence[str]) -> dict[str, SparseVector]:
        records = self._records(scope, ids, vector=[SPARSE])
        return {str(record.id): _sparse(record) for record in records}

    async def document(self, key: DocumentKey) -> Document | None:
        with self._shard.reading() as engine:
            records = engine.retrieve([key.point_id()], [DOCUMENT], False)
        return document_from(records[0].payload or {}) if records else None

    async def documents(self, scope: Scope, after: str, limit: int) -> tuple[list[Document], str]:
        if after and not is_id(after):
            raise InvalidArgument.of("page_token", "a token from the reply before, unchanged")
        request = edge.ScrollRequest(
            offset=after or None,
            limit=limit,
            filter=filtered(matching.matches(scope, DOCUMENT)),
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
            found = engine.retrieve(list(ids), True, False)
        passages = [passage_from(str(one.id), one.payload or {}) for one in found]
        return sorted(passages, key=lambda passage: passage.chunk.ordinal)

    async def count(self, scope: Scope) -> tuple[int, int]:
        documents, chunks = (filtered(matching.matches(scope, kind)) for kind in (DOCUMENT, CHUNK))
        with self._shard.reading() as engine:
            return (
                engine.count(edge.CountRequest(filter=documents)),
                engine.count(edge.CountRequest(filter=chunks)),
            )

    async def stage(self, document: Document, chunks: Sequence[VectorChunk]) -> None:
        await self._write(self._writer.stage, document, chunks)

    async def publish(self, document: Document) -> None:
        await self._write(self._writer.publish, document)

    async def discard(self, document: Document) -> None:
        await self._write(self._writer.discard, document)

    async def delete(self, key: DocumentKey) -> int | None:
        return await self._write(self._writer.delete, key)

    def _records(
        self,
        scope: Scope,
        ids: Sequence[str],
        payload: bool = False,
        vector: list[str] | bool = False,
    ) -> list[edge.Record]:
        wanted = [id for id in ids if is_id(id)]
        if not wanted:
            return []
        where = filtered(matching.matches(scope, CHUNK), wanted)
        request = edge.ScrollRequest(
            limit=len(wanted), filter=where, with_payload=payload, with_vector=vector
        )
        with self._shard.reading() as engine:
            return engine.scroll(request)[0]


def _hits(engine: edge.EdgeShard, request: edge.QueryRequest) -> tuple[Hit, ...]:
    hits = [Hit(str(point.id), point.score) for point in engine.query(request)]
    return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.id)))


def _sparse(record: edge.Record) -> SparseVector:
    vectors = record.vector
    vector = vectors[SPARSE] if isinstance(vectors, dict) else None
    if not isinstance(vector, edge.SparseVector):
        return SparseVector((), ())
    return SparseVector(tuple(vector.indices), tuple(vector.values))
