"""A cache of the inverse document frequencies (IDF) of query terms, by corpus.

An engine computes the IDF within a corpus (the passages of a tenant or of some of its collections) in
every query, for which it visits all of the corpus: 6 ms for 100,000 passages, and growing with it. The
IDF of a large corpus therefore comes from this cache. It is as exact as it was read as long as nothing is
written to the index, and otherwise at most FRESH_SECONDS old. That of a small corpus, which a single
document may change a lot, is always computed by the engine.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TypeAlias

from cachetools import FIFOCache

from rag_retriever.index.model import SparseVector

FRESH_SECONDS = 60.0
# Even if nothing seems to be written: a replica of the server may lag behind.
MAX_SECONDS = 600.0
MIN_PASSAGES = 5_000

_IDF_IN_NOTHING = math.log(2)
_MAX_TERMS = 50_000
_MAX_CORPORA = 5_000

Corpus: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KnownIdf:
    """The IDF of the terms that are known. `state` None: fresh; otherwise exact in this state of the index."""

    by_term: Mapping[int, float]
    state: str | None


@dataclass(frozen=True, slots=True)
class _Reading:
    value: float
    state: str
    time: float


class IdfCache:
    """IDF as last read from the engine; `state` is the index's state before it was read."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._idf: FIFOCache[tuple[Corpus, int], _Reading] = FIFOCache(_MAX_TERMS)
        self._sizes: FIFOCache[Corpus, _Reading] = FIFOCache(_MAX_CORPORA)

    def find(self, corpus: Corpus, terms: Sequence[int], state: str) -> KnownIdf:
        """The IDF of those terms that are known in this state of the index."""
        now = self._clock()
        read = {term: self._idf.get((corpus, term)) for term in terms}
        usable = {term: one for term, one in read.items() if one and _is_usable(one, state, now)}
        fresh = all(_is_fresh(one, now) for one in usable.values())
        by_term = {term: one.value for term, one in usable.items()}
        return KnownIdf(by_term, None if fresh else state)

    def is_small(self, corpus: Corpus, state: str) -> bool:
        """Whether the corpus is known to have fewer than MIN_PASSAGES."""
        size = self._sizes.get(corpus)
        return size is not None and _is_usable(size, state, self._clock())

    def put(
        self, corpus: Corpus, passages: int, idf: Mapping[int, float | None], state: str
    ) -> None:
        """Keep the IDF of a corpus of that many passages; None for terms that none of them contains."""
        now = self._clock()
        if passages < MIN_PASSAGES:
            self._sizes[corpus] = _Reading(passages, state, now)
            return
        for term, value in idf.items():
            known = absent_idf(passages) if value is None else value
            self._idf[corpus, term] = _Reading(known, state, now)


def weighted(vector: SparseVector, idf: Mapping[int, float]) -> SparseVector:
    """The vector whose score over a corpus without points is that of BM25 with this IDF.

    Over such a corpus the engine's IDF is log 2 for every term: (0 - 0 + 0.5) / (0 + 0.5) is 1.
    """
    weights = (
        value * idf[term] / _IDF_IN_NOTHING
        for term, value in zip(vector.indices, vector.values, strict=True)
    )
    return SparseVector(vector.indices, tuple(weights))


def read_idf(score: float, passage: SparseVector, term: int) -> float | None:
    """The IDF by which the engine multiplied a passage's weight for the term, the only one of a query.

    None for a weight of 0.
    """
    weight = passage.values[passage.indices.index(term)]
    return score / weight if weight else None


def absent_idf(passages: int) -> float:
    """The IDF of a term that none of the passages contains, as the engines compute it."""
    return math.log((passages + 0.5) / 0.5 + 1)


def _is_usable(reading: _Reading, state: str, now: float) -> bool:
    return _is_fresh(reading, now) or (reading.state == state and now - reading.time <= MAX_SECONDS)


def _is_fresh(reading: _Reading, now: float) -> bool:
    return now - reading.time <= FRESH_SECONDS
