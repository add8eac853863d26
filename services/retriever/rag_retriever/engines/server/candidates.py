"""The search for candidates on a Qdrant server, in a single round trip."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from rag_contract.errors import EmbeddingMismatch
from rag_retriever.engines import predicates
from rag_retriever.engines.idf import Corpus, IdfCache, read_idf, weighted
from rag_retriever.engines.payload import CHUNK
from rag_retriever.engines.server.messages import pb
from rag_retriever.engines.server.metadata_point import state_from, state_request
from rag_retriever.engines.server.points import Points
from rag_retriever.engines.server.requests import (
    all_of,
    dense_request,
    has_id,
    latest_only,
    sparse_request,
    to_filter,
    to_hits,
    to_sparse_vector,
)
from rag_retriever.index.filters import Scope
from rag_retriever.index.model import Candidates, Query, SparseVector

# More terms than this are not learnt at once, since each takes a query of its own.
_MAX_SAMPLES = 64
# No point has this id. Over a corpus without points, the server's IDF is the same for every term.
_NOTHING = pb.Filter(must=[has_id(["ffffffff-ffff-ffff-ffff-ffffffffffff"])])


@dataclass(frozen=True, slots=True)
class _Sparse:
    """A sparse query: its vector, the filter of its corpus, and the terms whose IDF is to be learnt."""

    vector: SparseVector
    corpus: pb.Filter
    learn: Sequence[int] = ()
    valid_in: str | None = None


class CandidateSearch:
    """Searches one collection. `rescore` must be set for a quantised one."""

    def __init__(self, points: Points, collection: str, dimensions: int, rescore: bool) -> None:
        self._points = points
        self._collection = collection
        self._dimensions = dimensions
        self._rescore = rescore
        self._idf = IdfCache()

    async def run(self, scope: Scope, query: Query, limit: int) -> Candidates:
        """The duration of the round trip is reported for each list."""
        if query.dense is not None and len(query.dense) != 4 * self._dimensions:
            raise EmbeddingMismatch(f"this index holds vectors of {self._dimensions} dimensions")
        sparse = self._sparse(scope, query.sparse)
        found = await self._search(scope, query.dense, sparse, limit)
        if sparse and sparse.valid_in not in (None, self._points.state):
            # Another process has written to the index since the cached IDF was read.
            sparse = self._sparse(scope, query.sparse)
            found = await self._search(scope, query.dense, sparse, limit)
        return found

    def _sparse(self, scope: Scope, vector: SparseVector | None) -> _Sparse | None:
        if vector is None or not vector.indices:
            return None
        state, corpus = self._points.state, _corpus(scope)
        known = self._idf.find(corpus, vector.indices, state)
        unknown = [term for term in vector.indices if term not in known.by_term]
        if not unknown:
            return _Sparse(weighted(vector, known.by_term), _NOTHING, valid_in=known.state)
        learnable = len(unknown) <= _MAX_SAMPLES and not self._idf.is_small(corpus, state)
        where = all_of(predicates.in_scope(scope, CHUNK))
        return _Sparse(vector, where, unknown if learnable else ())

    async def _search(
        self, scope: Scope, dense: bytes | None, sparse: _Sparse | None, limit: int
    ) -> Candidates:
        requests = self._requests(scope, dense, sparse, limit)
        state = self._points.state
        started = perf_counter()
        results, passages = await self._query(requests, sparse)
        seconds = perf_counter() - started
        lists = dict(zip(requests, results, strict=True))
        self._points.state = state_from(lists["state"], state)
        if sparse and sparse.learn:
            idf = {term: _sampled_idf(lists[str(term)], term) for term in sparse.learn}
            self._idf.put(_corpus(scope), passages, idf, state)
        return _candidates(lists, seconds)

    async def _query(
        self, requests: Mapping[str, pb.QueryPoints], sparse: _Sparse | None
    ) -> tuple[list[Sequence[pb.ScoredPoint]], int]:
        """The results, and the number of passages in the corpus if terms are to be learnt."""
        query = self._points.query(list(requests.values()))
        if not sparse or not sparse.learn:
            return await query, 0
        return await asyncio.gather(query, self._points.count(sparse.corpus, exact=False))

    def _requests(
        self, scope: Scope, dense: bytes | None, sparse: _Sparse | None, limit: int
    ) -> dict[str, pb.QueryPoints]:
        where = to_filter(predicates.scope_filter(scope, CHUNK))
        requests = {"state": state_request(self._collection)}
        if dense is not None:
            requests["dense"] = dense_request(self._collection, dense, where, limit, self._rescore)
        if sparse is not None:
            requests["sparse"] = sparse_request(
                self._collection, sparse.vector, where, limit, sparse.corpus
            )
            requests |= {str(term): self._sample(term, sparse.corpus) for term in sparse.learn}
        return requests

    def _sample(self, term: int, corpus: pb.Filter) -> pb.QueryPoints:
        """A query for a passage that contains the term, whose score reveals the term's IDF."""
        vector = SparseVector((term,), (1.0,))
        return sparse_request(self._collection, vector, corpus, 1, corpus, payload=())


def _corpus(scope: Scope) -> Corpus:
    return tuple(sorted(predicates.in_scope(scope, CHUNK).values))


def _sampled_idf(points: Sequence[pb.ScoredPoint], term: int) -> float | None:
    """The IDF by which the server multiplied the passage's weight for the term; None without any."""
    return read_idf(points[0].score, to_sparse_vector(points[0]), term) if points else None


def _candidates(lists: Mapping[str, Sequence[pb.ScoredPoint]], seconds: float) -> Candidates:
    dense_points, sparse_points = latest_only(lists.get("dense", ()), lists.get("sparse", ()))
    dense, sparse = to_hits(dense_points), to_hits(sparse_points)
    return Candidates(
        dense,
        sparse,
        seconds * ("dense" in lists),
        seconds * ("sparse" in lists),
        _terms(sparse_points, sparse[0].passage_id) if dense and sparse else frozenset(),
    )


def _terms(points: Sequence[pb.ScoredPoint], passage_id: str) -> frozenset[int]:
    best = next(point for point in points if point.id.uuid == passage_id)
    return frozenset(to_sparse_vector(best).indices)
