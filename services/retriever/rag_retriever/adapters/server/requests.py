"""What is asked of a Qdrant server: filters and queries in its words, its errors in ours."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import grpc
import numpy as np
from qdrant_client import models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

from rag_common.errors import IndexNotFound, Unavailable
from rag_retriever.adapters.matching import Match, Matches, OneOf
from rag_retriever.adapters.payload import DENSE, DOCUMENT, OWNER, SPARSE, VERSION
from rag_retriever.passages import SparseVector, VectorChunk

VERSION_FIELDS = [OWNER, VERSION, f"{DOCUMENT}.updated"]

_NOT_FOUND = 404
_RETRY_SECONDS = 1.0


@contextmanager
def translated() -> Iterator[None]:
    """IndexNotFound for a collection that is not there, Unavailable for all else."""
    try:
        yield
    except (ApiException, QdrantException, grpc.RpcError, OSError) as error:
        if _is_not_found(error):
            raise IndexNotFound("there is no index of that name") from error
        message = "the vector engine does not answer"
        raise Unavailable(message, retry_after=_RETRY_SECONDS) from error


def filtered(tests: Matches, ids: Iterable[str] | None = None) -> models.Filter:
    """A scope in the server's words, among these points only where ids are given."""
    must: list[models.Condition] = [_condition(test) for test in tests.must]
    if ids is not None:
        must.append(models.HasIdCondition(has_id=list(ids)))
    return models.Filter(
        must=must,
        should=[_condition(test) for test in tests.should] or None,
        must_not=[_condition(test) for test in tests.must_not] or None,
    )


def having(*must: Match, never: Sequence[Match] = ()) -> models.Filter:
    """Points that pass all of `must` and none of `never`."""
    return filtered(Matches(list(must), [], list(never)))


def dense_request(
    vector: bytes, where: models.Filter, limit: int, rescore: bool
) -> models.QueryRequest:
    """The nearest by cosine; by the vectors as they were where the graph holds them rounded."""
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
    vector: SparseVector, where: models.Filter, limit: int, corpus: models.Filter | None
) -> models.QueryRequest:
    """The best by BM25; IDF counts the points of `corpus`, or all."""
    idf = models.IdfCorpusParams(corpus=corpus) if corpus else None
    return models.QueryRequest(
        query=sparse(vector),
        using=SPARSE,
        filter=where,
        limit=limit,
        params=models.SearchParams(idf=idf) if idf else None,
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


def _condition(test: Match) -> models.FieldCondition:
    if isinstance(test, OneOf):
        return models.FieldCondition(key=test.field, match=models.MatchAny(any=list(test.values)))
    limits = models.Range(gte=test.gte, lte=test.lte, lt=test.lt)
    return models.FieldCondition(key=test.field, range=limits)


def _is_not_found(error: Exception) -> bool:
    if isinstance(error, UnexpectedResponse):
        return error.status_code == _NOT_FOUND
    return isinstance(error, grpc.aio.AioRpcError) and error.code() is grpc.StatusCode.NOT_FOUND
