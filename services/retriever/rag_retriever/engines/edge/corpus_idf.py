"""The inverse document frequency (IDF) of terms in a corpus: the passages of a tenant, or of some collections.

The engine computes it in every query, for which it visits each passage of the corpus: 6 ms for 100,000,
during which nothing else runs. In a large corpus it is therefore read once for each term, kept for a while
(`engines.idf`), and read from a sample of the passages, so that reading it is quick too.

Passages belong to levels of samples by their ids, which are hashes: a quarter of them to level 1 and higher,
a sixteenth to level 2 and higher, and so on. A passage names its levels with tenant and collection, so that
no other tenant's passages are visited or counted. A sample has 4,096 to 16,384 passages. A term's share of
them has a relative standard error of at most 1 / sqrt(4096 * share): 5 % for a term in a tenth of the
passages, 16 % for one in a hundredth. The IDF of a term that no passage of the sample has is 9.0 to 10.4,
however rare it is.
"""

from collections.abc import Iterable
from functools import lru_cache

import qdrant_edge as edge

from rag_retriever.engines import predicates
from rag_retriever.engines.edge.engine import all_of, sparse_of, sparse_request
from rag_retriever.engines.idf import IdfCache, absent_idf, read_idf, weighted
from rag_retriever.engines.payload import CHUNK, SAMPLE, SCOPE, Payload, scope_token
from rag_retriever.engines.predicates import AnyOf
from rag_retriever.index.filters import Scope
from rag_retriever.index.model import DocumentKey, SparseVector

MIN_PASSAGES = 4_096

_RATIO = 4
_MAX_LEVEL = 12
# The engine's filters of this many corpora are kept: making one takes as long as reading ten points.
_CACHED = 1024
# Terms read in one search: each takes a query of its own, a millisecond or two.
_MAX_READ = 2
# Over a corpus without points the engine's IDF is the same for every term.
_NOTHING = edge.Filter(must=[edge.HasIdCondition(set())])
# A sample with less than this share of the passages expected is not one: older passages name no level.
_MIN_SHARE = 0.5


def sample_fields(point_id: str, key: DocumentKey) -> Payload:
    """The payload by which a passage belongs to samples; empty for three of four passages."""
    levels = range(1, _level(point_id) + 1)
    corpora = [
        scope_token(CHUNK, key.tenant),
        scope_token(CHUNK, key.tenant, key.collection),
    ]
    tokens = [_token(level, corpus) for level in levels for corpus in corpora]
    return {SAMPLE: tokens} if tokens else {}


class CorpusIdf:
    """The IDF of one index's terms. `sampled` is whether its passages name their samples."""

    def __init__(self, *, sampled: bool) -> None:
        self._sampled = sampled
        self._cache = IdfCache()

    def apply(
        self, engine: edge.EdgeShard, scope: Scope, vector: SparseVector, version: str
    ) -> tuple[SparseVector, edge.Filter]:
        """The query vector, and the corpus to compute its IDF in.

        In a large corpus, the vector has the IDF in it, and the corpus for the engine is empty; or it is
        the sample, while many terms are unknown. `version` is that of the index now.
        """
        complete = corpus(scope.tenant, scope.collections)
        passages = _count(engine, _scopes(scope.tenant, scope.collections))
        level = sample_level(passages) if self._sampled else 0
        if level == 0:
            return vector, complete
        sample = _sample(scope.tenant, scope.collections, level)
        size = _count(engine, _samples(scope.tenant, scope.collections, level))
        if size < _MIN_SHARE * passages / _RATIO**level:
            return vector, complete
        key = (scope.tenant, *scope.collections)
        known = dict(self._cache.find(key, vector.indices, version).by_term)
        unknown = [term for term in vector.indices if term not in known]
        read = {term: _read(engine, term, complete, sample, size) for term in unknown[:_MAX_READ]}
        if read:
            self._cache.put(key, passages, read, version)
        if len(read) < len(unknown):
            return vector, sample
        return weighted(vector, {**known, **read}), _NOTHING


@lru_cache(_CACHED)
def corpus(tenant: str, collections: tuple[str, ...]) -> edge.Filter:
    """All published passages of these collections, of the tenant if there are none."""
    return all_of(predicates.in_scope(Scope(tenant, collections), CHUNK))


def sample_level(passages: int) -> int:
    """The level whose sample has at least MIN_PASSAGES of so many passages, and under four times as many.

    0 if the corpus has too few for any.
    """
    level = 0
    while level < _MAX_LEVEL and passages >= MIN_PASSAGES * _RATIO ** (level + 1):
        level += 1
    return level


@lru_cache(_CACHED)
def _sample(tenant: str, collections: tuple[str, ...], level: int) -> edge.Filter:
    # Staged passages name their levels too, and are in no scope.
    scope = predicates.in_scope(Scope(tenant, collections), CHUNK)
    return all_of(AnyOf(SAMPLE, _sample_tokens(tenant, collections, level)), scope)


def _level(point_id: str) -> int:
    """The number of zeros at the end of the id, in base four: a level has a quarter of the one below."""
    number = int(point_id[-12:], 16)
    level = 0
    while level < _MAX_LEVEL and number % _RATIO == 0:
        number //= _RATIO
        level += 1
    return level


def _token(level: int, corpus: str) -> str:
    return f"{level}/{corpus}"


def _read(
    engine: edge.EdgeShard, term: int, complete: edge.Filter, sample: edge.Filter, size: int
) -> float:
    """The term's IDF in the sample: what the engine multiplies the weight of a passage by."""
    query = sparse_request(SparseVector((term,), (1.0,)), complete, 1, sample, vectors=True)
    points = engine.query(query)
    idf = read_idf(points[0].score, sparse_of(points[0]), term) if points else None
    return absent_idf(size) if idf is None else idf


def _count(engine: edge.EdgeShard, parts: Iterable[edge.Filter]) -> int:
    """The points of parts that have none in common, each of which is one token: then it is exact.

    The engine's estimate of several conditions depends on the points of other tenants.
    """
    return sum(engine.count(edge.CountRequest(exact=False, filter=part)) for part in parts)


@lru_cache(_CACHED)
def _scopes(tenant: str, collections: tuple[str, ...]) -> tuple[edge.Filter, ...]:
    return tuple(all_of(AnyOf(SCOPE, [token])) for token in _scope_tokens(tenant, collections))


@lru_cache(_CACHED)
def _samples(tenant: str, collections: tuple[str, ...], level: int) -> tuple[edge.Filter, ...]:
    """The parts of a sample, staged passages included."""
    tokens = _sample_tokens(tenant, collections, level)
    return tuple(all_of(AnyOf(SAMPLE, [token])) for token in tokens)


def _sample_tokens(tenant: str, collections: tuple[str, ...], level: int) -> list[str]:
    return [_token(level, token) for token in _scope_tokens(tenant, collections)]


def _scope_tokens(tenant: str, collections: tuple[str, ...]) -> list[str]:
    return [*dict.fromkeys(predicates.in_scope(Scope(tenant, collections), CHUNK).values)]
