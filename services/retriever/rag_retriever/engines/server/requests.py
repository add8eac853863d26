"""Filters and queries for a Qdrant server, and translation of its responses and errors."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from uuid import UUID

import grpc

from rag_contract.errors import DependencyDown, IndexNotFound
from rag_retriever.engines.payload import DENSE, OWNER, SPARSE, VERSION
from rag_retriever.engines.predicates import AnyOf, FieldPredicate, PointFilter
from rag_retriever.engines.server.messages import pb
from rag_retriever.engines.server.revisions import REVISION
from rag_retriever.index.model import Hit, SparseVector, VectorChunk

VERSION_FIELDS = (OWNER, VERSION, REVISION)

# Protobuf's wire type of packed numbers.
_LENGTH_DELIMITED = 2
_RETRY_SECONDS = 1.0


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise IndexNotFound for a missing collection, Unavailable for all other errors."""
    try:
        yield
    # A response that gRPC could not parse is None, which raises AttributeError.
    except (grpc.RpcError, OSError, AttributeError) as error:
        if _is_not_found(error):
            raise IndexNotFound("index not found") from error
        message = "the vector engine is not responding"
        raise DependencyDown(message, retry_after=_RETRY_SECONDS) from error


def to_filter(predicates: PointFilter, ids: Iterable[str] | None = None) -> pb.Filter:
    """The server's filter for these predicates, restricted to `ids` unless None."""
    must = [condition(test) for test in predicates.must]
    if ids is not None:
        must.append(has_id(ids))
    return pb.Filter(
        must=must,
        should=[condition(test) for test in predicates.should],
        must_not=[condition(test) for test in predicates.must_not],
    )


def all_of(*must: FieldPredicate, must_not: Sequence[FieldPredicate] = ()) -> pb.Filter:
    """A filter for points that match all of `must` and none of `must_not`."""
    return to_filter(PointFilter(list(must), [], list(must_not)))


def condition(test: FieldPredicate) -> pb.Condition:
    """The server's condition for one predicate."""
    if isinstance(test, AnyOf):
        return pb.Condition(field=pb.FieldCondition(key=test.field, match=_match(test.values)))
    limits = pb.Range(gte=test.gte, lte=test.lte, lt=test.lt)
    return in_range(test.field, limits)


def in_range(field: str, limits: pb.Range) -> pb.Condition:
    return pb.Condition(field=pb.FieldCondition(key=field, range=limits))


def has_id(ids: Iterable[str]) -> pb.Condition:
    return pb.Condition(has_id=pb.HasIdCondition(has_id=[pb.PointId(uuid=one) for one in ids]))


def _match(values: Sequence[str]) -> pb.Match:
    # The server tests one keyword twice as fast as a list of one.
    if len(values) == 1:
        return pb.Match(keyword=values[0])
    return pb.Match(keywords=pb.RepeatedStrings(strings=values))


def dense_request(
    collection: str, vector: bytes, where: pb.Filter, limit: int, rescore: bool
) -> pb.QueryPoints:
    """A query for the nearest points by cosine; `rescore` uses the original of quantised vectors."""
    quantization = pb.QuantizationSearchParams(rescore=True, oversampling=2.0)
    return pb.QueryPoints(
        collection_name=collection,
        query=pb.Query(nearest=pb.VectorInput(dense=dense(vector))),
        using=DENSE,
        filter=where,
        limit=limit,
        params=pb.SearchParams(
            hnsw_ef=max(128, limit), quantization=quantization if rescore else None
        ),
        with_payload=fields(VERSION_FIELDS),
    )


def sparse_request(
    collection: str,
    vector: SparseVector,
    where: pb.Filter,
    limit: int,
    corpus: pb.Filter,
    payload: Sequence[str] = VERSION_FIELDS,
) -> pb.QueryPoints:
    """A query for the best points by BM25 and their vectors, with IDF over the points of `corpus`."""
    return pb.QueryPoints(
        collection_name=collection,
        query=pb.Query(nearest=pb.VectorInput(sparse=sparse(vector))),
        using=SPARSE,
        filter=where,
        limit=limit,
        params=pb.SearchParams(idf=pb.IdfParams(corpus=corpus)),
        with_payload=fields(payload),
        with_vectors=vectors_named(SPARSE),
    )


def fields(names: Sequence[str]) -> pb.WithPayloadSelector:
    """Selects these fields of payloads; none if empty."""
    if not names:
        return pb.WithPayloadSelector(enable=False)
    return pb.WithPayloadSelector(include=pb.PayloadIncludeSelector(fields=names))


def vectors_named(*names: str) -> pb.WithVectorsSelector:
    """Selects these vectors; none if empty."""
    if not names:
        return pb.WithVectorsSelector(enable=False)
    return pb.WithVectorsSelector(include=pb.VectorsSelector(names=names))


def set_vectors(target: pb.NamedVectors, chunk: VectorChunk) -> None:
    """Set a chunk's vectors, by name."""
    target.vectors[DENSE].dense.CopyFrom(dense(chunk.dense))
    target.vectors[SPARSE].sparse.CopyFrom(sparse(chunk.sparse))


def dense(vector: bytes) -> pb.DenseVector:
    """A message with this vector, float32, little-endian.

    That is how protobuf encodes packed floats, so they need no conversion, which took half of the time
    of storing a chunk.
    """
    return pb.DenseVector.FromString(_floats_header(len(vector)) + vector)


@lru_cache(maxsize=16)
def _floats_header(size: int) -> bytes:
    """What precedes `size` bytes of floats in an encoded DenseVector: the field's key and the size."""
    groups = bytearray()
    while size > 0x7F:
        groups.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([pb.DenseVector.DATA_FIELD_NUMBER << 3 | _LENGTH_DELIMITED, *groups, size])


def sparse(vector: SparseVector) -> pb.SparseVector:
    return pb.SparseVector(indices=vector.indices, values=vector.values)


def to_sparse_vector(point: pb.ScoredPoint | pb.RetrievedPoint) -> SparseVector:
    """The point's sparse vector, an empty one if the response has none."""
    vector = point.vectors.vectors.vectors[SPARSE].sparse
    return SparseVector(tuple(vector.indices), tuple(vector.values))


def latest_only(*lists: Sequence[pb.ScoredPoint]) -> Sequence[Sequence[pb.ScoredPoint]]:
    """These results without passages of a version that is being replaced.

    A search may return two versions of a document while one replaces the other. Their revisions tell
    which was published last.
    """
    versions = {_version(point) for point in chain.from_iterable(lists)}
    if len({owner for owner, _ in versions}) == len(versions):
        return lists
    latest: dict[str, tuple[int, str]] = {}
    for point in chain.from_iterable(lists):
        owner, version = _version(point)
        age = point.payload[REVISION].integer_value, version
        latest[owner] = max(age, latest.get(owner, age))
    # Chunks of one version may have several revisions while it is published again.
    kept = {(owner, version) for owner, (_, version) in latest.items()}
    return [[point for point in points if _version(point) in kept] for points in lists]


def to_hits(points: Iterable[pb.ScoredPoint]) -> tuple[Hit, ...]:
    """Best first, ties by id."""
    hits = [Hit(UUID(point.id.uuid).int, point.score) for point in points]
    return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.key)))


def _version(point: pb.ScoredPoint) -> tuple[str, str]:
    """The point's document and version."""
    payload = point.payload
    return payload[OWNER].string_value, payload[VERSION].string_value


def _is_not_found(error: Exception) -> bool:
    return isinstance(error, grpc.aio.AioRpcError) and error.code() is grpc.StatusCode.NOT_FOUND
