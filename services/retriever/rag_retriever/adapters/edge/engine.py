"""What is asked of Qdrant Edge: its settings, its requests, and its one kind of exception."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import qdrant_edge as edge

from rag_common.errors import AppError, Unavailable
from rag_retriever.adapters import payload as fields
from rag_retriever.adapters.matching import Match, Matches, OneOf
from rag_retriever.adapters.payload import DENSE, SPARSE, Payload
from rag_retriever.passages import SparseVector, VectorChunk

_SEARCH_EF = 128
_GRAPH_FROM_KB = 1_000
_FULL_SCAN_KB = 10_000


@contextmanager
def translated() -> Iterator[None]:
    """The engine raises bare Exception, paths and all in its text: none of it is passed on."""
    try:
        yield
    except AppError:
        raise
    except Exception as error:
        raise Unavailable("the vector engine failed") from error


def create(path: Path, dimensions: int) -> edge.EdgeShard:
    """A new shard in an empty folder, its writes logged ahead."""
    with translated():
        shard = edge.EdgeShard.create(str(path), _settings(dimensions))
        for field in fields.KEYWORDS:
            shard.update(
                edge.UpdateOperation.create_field_index(field, edge.PayloadSchemaType.Keyword)
            )
        tenant = edge.KeywordIndexParams(is_tenant=True)
        shard.update(edge.UpdateOperation.create_field_index(fields.SCOPE, tenant))
    return shard


def load(path: Path) -> edge.EdgeShard:
    """The shard of a folder; what was acknowledged and not flushed is replayed from its log."""
    with translated():
        return edge.EdgeShard.load(str(path))


def index_range(field: str) -> edge.UpdateOperation:
    """Lets a number field answer ranges from an index."""
    return edge.UpdateOperation.create_field_index(field, edge.PayloadSchemaType.Float)


def point(id: str, payload: Payload, chunk: VectorChunk | None = None) -> edge.Point:
    """A point, with vectors where it is a chunk's."""
    if chunk is None:
        return edge.Point(id, {}, payload)
    return edge.Point(id, {DENSE: _floats(chunk.dense), SPARSE: _sparse(chunk.sparse)}, payload)


def dense_request(vector: bytes, where: edge.Filter, limit: int) -> edge.QueryRequest:
    """The nearest by cosine."""
    query = edge.Query.Nearest(_floats(vector), using=DENSE)
    params = edge.SearchParams(hnsw_ef=max(_SEARCH_EF, limit))
    return edge.QueryRequest(limit=limit, query=query, filter=where, params=params)


def sparse_request(
    vector: SparseVector, where: edge.Filter, limit: int, corpus: edge.Filter | None
) -> edge.QueryRequest:
    """The best by BM25; IDF counts the points of `corpus`, or all."""
    query = edge.Query.Nearest(_sparse(vector), using=SPARSE)
    params = edge.SearchParams(idf=edge.IdfParams(corpus=corpus)) if corpus else None
    return edge.QueryRequest(limit=limit, query=query, filter=where, params=params)


def filtered(tests: Matches, ids: Iterable[str] | None = None) -> edge.Filter:
    """A scope in the engine's words, among these points only where ids are given."""
    must: list[edge.ConditionType] = [_condition(test) for test in tests.must]
    if ids is not None:
        must.append(edge.HasIdCondition(set(ids)))
    return edge.Filter(
        must=must,
        should=[_condition(test) for test in tests.should] or None,
        must_not=[_condition(test) for test in tests.must_not],
    )


def having(*must: Match, never: Sequence[Match] = ()) -> edge.Filter:
    """Points that pass all of `must` and none of `never`."""
    return filtered(Matches(list(must), [], list(never)))


def _settings(dimensions: int) -> edge.EdgeConfig:
    return edge.EdgeConfig(
        vectors={DENSE: edge.EdgeVectorParams(size=dimensions, distance=edge.Distance.Cosine)},
        sparse_vectors={SPARSE: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        hnsw_config=edge.HnswIndexConfig(
            m=16, ef_construct=128, full_scan_threshold=_FULL_SCAN_KB, payload_m=16
        ),
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=_GRAPH_FROM_KB),
        wal_enabled=True,
        # Searches are short and many: a second thread for one costs more than it gives.
        max_search_threads=1,
    )


def _condition(test: Match) -> edge.FieldCondition:
    if isinstance(test, OneOf):
        return edge.FieldCondition(test.field, match=edge.MatchAny(list(test.values)))
    return edge.FieldCondition(
        test.field, range=edge.RangeFloat(gte=test.gte, lte=test.lte, lt=test.lt)
    )


def _floats(vector: bytes) -> list[float]:
    # A list is what the engine reads fastest: 10 µs for 384, an array 47.
    values: list[float] = np.frombuffer(vector, dtype="<f4").tolist()
    return values


def _sparse(vector: SparseVector) -> edge.SparseVector:
    return edge.SparseVector(indices=list(vector.indices), values=list(vector.values))
