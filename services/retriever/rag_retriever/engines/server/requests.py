"""Filters and queries for a Qdrant server, and translation of its responses and errors."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

import grpc
import numpy as np
from qdrant_client import models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

from rag_contract.errors import DependencyDown, IndexNotFound
from rag_retriever.engines.payload import DENSE, OWNER, SPARSE, VERSION
from rag_retriever.engines.predicates import AnyOf, FieldPredicate, PointFilter
from rag_retriever.engines.server.revisions import REVISION
from rag_retriever.index.model import Hit, SparseVector, VectorChunk

VERSION_FIELDS = [OWNER, VERSION, REVISION]

_NOT_FOUND = 404
_RETRY_SECONDS = 1.0


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise IndexNotFound for a missing collection, Unavailable for all other errors."""
    try:
        yield
    # The client library raises AttributeError if gRPC could not parse the response.
    except (ApiException, QdrantException, grpc.RpcError, OSError, AttributeError) as error:
        if _is_not_found(error):
            raise IndexNotFound("index not found") from error
        message = "the vector engine is not responding"
        raise DependencyDown(message, retry_after=_RETRY_SECONDS) from error


def to_filter(predicates: PointFilter, ids: Iterable[str] | None = None) -> models.Filter:
    """The server's filter for these predicates, restricted to `ids` unless None."""
    must: list[models.Condition] = [condition(test) for test in predicates.must]
    if ids is not None:
        must.append(models.HasIdCondition(has_id=list(ids)))
    return models.Filter(
        must=must,
        should=[condition(test) for test in predicates.should] or None,
        must_not=[condition(test) for test in predicates.must_not] or None,
    )


def all_of(*must: FieldPredicate, must_not: Sequence[FieldPredicate] = ()) -> models.Filter:
    """A filter for points that match all of `must` and none of `must_not`."""
    return to_filter(PointFilter(list(must), [], list(must_not)))


def dense_request(
    vector: bytes, where: models.Filter, limit: int, rescore: bool
) -> models.QueryRequest:
    """A query for the nearest points by cosine; `rescore` uses the original of quantised vectors."""
    quantization = models.QuantizationSearchParams(rescore=True, oversampling=2.0)
    params = models.SearchParams(
        hnsw_ef=max(128, limit), quantization=quantization if rescore else None
    )
    return models.QueryRequest(
        query=floats(vector),
        using=DENSE,
        filter=where,
        limit=limit,
        params=params,
        with_payload=VERSION_FIELDS,
    )


def sparse_request(
    vector: SparseVector, where: models.Filter, limit: int, corpus: models.Filter
) -> models.QueryRequest:
    """A query for the best points by BM25, with IDF over the points that match `corpus`."""
    return models.QueryRequest(
        query=sparse(vector),
        using=SPARSE,
        filter=where,
        limit=limit,
        params=models.SearchParams(idf=models.IdfCorpusParams(corpus=corpus)),
        with_payload=VERSION_FIELDS,
    )


def vectors(chunk: VectorChunk) -> models.VectorStruct:
    """A chunk's vectors by name."""
    return {DENSE: floats(chunk.dense), SPARSE: sparse(chunk.sparse)}


def floats(vector: bytes) -> list[float]:
    values: list[float] = np.frombuffer(vector, dtype="<f4").tolist()
    return values


def sparse(vector: SparseVector) -> models.SparseVector:
    return models.SparseVector(indices=list(vector.indices), values=list(vector.values))


def condition(test: FieldPredicate) -> models.FieldCondition:
    """The server's condition for one predicate."""
    if isinstance(test, AnyOf):
        return models.FieldCondition(key=test.field, match=models.MatchAny(any=list(test.values)))
    limits = models.Range(gte=test.gte, lte=test.lte, lt=test.lt)
    return models.FieldCondition(key=test.field, range=limits)


def _is_not_found(error: Exception) -> bool:
    if isinstance(error, UnexpectedResponse):
        return error.status_code == _NOT_FOUND
    return isinstance(error, grpc.aio.AioRpcError) and error.code() is grpc.StatusCode.NOT_FOUND


def latest_versions(points: Iterable[models.ScoredPoint]) -> dict[str, str]:
    """The version published last among these points, by owning document.

    A search may return two versions while one replaces the other; revisions order them.
    """
    latest: dict[str, tuple[int, str]] = {}
    for point in points:
        payload = point.payload or {}
        owner, age = payload[OWNER], (payload.get(REVISION, 0), payload[VERSION])
        latest[owner] = max(age, latest.get(owner, age))
    return {owner: version for owner, (_, version) in latest.items()}


def to_hits(points: Sequence[models.ScoredPoint], latest: dict[str, str]) -> tuple[Hit, ...]:
    """The points of the latest versions, best first."""
    hits = [
        Hit(UUID(str(point.id)).int, point.score) for point in points if _is_latest(point, latest)
    ]
    return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.key)))


def _is_latest(point: models.ScoredPoint, latest: dict[str, str]) -> bool:
    payload = point.payload or {}
    return latest[payload[OWNER]] == str(payload[VERSION])


def to_sparse_vector(record: models.Record) -> SparseVector:
    vectors = record.vector
    vector = vectors.get(SPARSE) if isinstance(vectors, dict) else None
    if not isinstance(vector, models.SparseVector):
        return SparseVector((), ())
    return SparseVector(tuple(vector.indices), tuple(vector.values))
