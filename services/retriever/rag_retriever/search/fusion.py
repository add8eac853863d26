"""Fuses the dense and the sparse candidates of a query into one ranking."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import fmean
from typing import Any, Protocol, TypeAlias

# The spread of a sum of n random term weights grows with the square root of n.
_TEMPERATURE_PER_ROOT_TERM = 0.9
_DEFAULT_TERMS = 5
# How quickly trust in the sparse list falls with the share of query terms that its best hit lacks.
_MISSING_TERMS_PENALTY = 6.0
# Multiple of the mean excess over a list's lowest score; for an exponential tail this mean is its scale.
_TEMPERATURE_PER_EXCESS = 1.3
_MIN_TEMPERATURE = 1e-6

# Cormack, Clarke and Buettcher (2009), "Reciprocal Rank Fusion outperforms Condorcet".
_RRF_K = 60
_DBSF_DEVIATIONS = 3

# The scores of passages by their keys, best first where they are a list's.
Scores: TypeAlias = Mapping[Hashable, float]


class Candidate(Protocol):
    """A passage in one of the two lists, by a key of its engine's.

    `score` is cosine similarity or BM25, higher is better.
    """

    @property
    def key(self) -> Hashable: ...

    @property
    def score(self) -> float: ...


class Method(Enum):
    """The fusion method.

    POSTERIOR: the probability that a candidate is the relevant one, given that exactly one is: a
    weighted mixture of both lists' distributions. RRF: reciprocal rank fusion, 1 for rank 1 in both
    lists. DBSF: distribution-based score fusion, 1 for three standard deviations above both means.
    """

    POSTERIOR = "posterior"
    RRF = "rrf"
    DBSF = "dbsf"


@dataclass(frozen=True, slots=True)
class Fused:
    """A passage with its fused score in [0, 1].

    Ranks count from 1. Rank and raw score are None for a list that lacks the passage.
    """

    key: Any
    score: float
    dense_rank: int | None
    dense_score: float | None
    sparse_rank: int | None
    sparse_score: float | None


def fuse(
    dense: Sequence[Candidate],
    sparse: Sequence[Candidate],
    method: Method = Method.POSTERIOR,
    *,
    query_terms: int | None = None,
    coverage: float = 1.0,
    limit: int | None = None,
) -> list[Fused]:
    """The best `limit` (None: all) unique candidates of both lists, best first.

    The lists must be sorted best first, with unique ids and finite scores. POSTERIOR also uses the
    number of distinct terms of the sparse query (`query_terms`, None: a typical number) and the
    share of them (`coverage`, 0 to 1) that the first sparse candidate contains.
    """
    dense_scores = {item.key: item.score for item in dense}
    sparse_scores = {item.key: item.score for item in sparse}
    if method is Method.RRF:
        scores = _mean(_reciprocal_ranks(dense_scores), _reciprocal_ranks(sparse_scores))
    elif method is Method.DBSF:
        scores = _mean(_scaled_by_deviation(dense_scores), _scaled_by_deviation(sparse_scores))
    else:
        scores = _mixture(
            _softmax(dense_scores, _temperature(dense_scores)),
            _sparse_distribution(dense_scores, sparse_scores, query_terms or _DEFAULT_TERMS),
            _sparse_weight(coverage),
        )
    return _rank(scores, dense_scores, sparse_scores, limit)


def single(
    *,
    dense: Sequence[Candidate] = (),
    sparse: Sequence[Candidate] = (),
    limit: int | None = None,
) -> list[Fused]:
    """The best `limit` (None: all) candidates of a single list, scored by POSTERIOR."""
    return fuse(dense, sparse, limit=limit)


def _sparse_distribution(dense: Scores, sparse: Scores, query_terms: int) -> dict[Hashable, float]:
    """The sparse list's distribution over all candidates; one not in the list has score 0.

    Including those keeps a single weak hit from getting probability 1.
    """
    if not sparse:
        return {}
    temperature = _TEMPERATURE_PER_ROOT_TERM * math.sqrt(query_terms)
    return _softmax({key: sparse.get(key, 0.0) for key in {**dense, **sparse}}, temperature)


def _sparse_weight(coverage: float) -> float:
    """The weight of the sparse list relative to a weight of 1 for the dense list.

    If the best hit contains only a third of the query terms, those matches are likely accidental;
    a query in another language than the passages is the common case.
    """
    present, missing = coverage**2, (1 - coverage) ** 2
    return present / (present + _MISSING_TERMS_PENALTY * missing)


def _mixture(dense: Scores, sparse: Scores, sparse_weight: float) -> dict[Hashable, float]:
    weight = 1.0 if not dense else sparse_weight / (1 + sparse_weight) if sparse else 0.0
    return {
        key: (1 - weight) * dense.get(key, 0.0) + weight * sparse.get(key, 0.0)
        for key in {**dense, **sparse}
    }


def _softmax(scores: Scores, temperature: float) -> dict[Hashable, float]:
    if not scores:
        return {}
    best = max(scores.values())
    odds = {key: math.exp((score - best) / temperature) for key, score in scores.items()}
    total = sum(odds.values())
    return {key: value / total for key, value in odds.items()}


def _temperature(scores: Scores) -> float:
    if not scores:
        return 1.0
    excess = fmean(scores.values()) - min(scores.values())
    return max(_TEMPERATURE_PER_EXCESS * excess, _MIN_TEMPERATURE)


def _reciprocal_ranks(scores: Scores) -> dict[Hashable, float]:
    return {key: (_RRF_K + 1) / (_RRF_K + rank) for rank, key in enumerate(scores, start=1)}


def _scaled_by_deviation(scores: Scores) -> dict[Hashable, float]:
    """Scores scaled to 0 at three standard deviations below the mean and 1 at three above."""
    if len(set(scores.values())) < 2:
        return dict.fromkeys(scores, 0.5)
    mean = fmean(scores.values())
    squares = sum((score - mean) ** 2 for score in scores.values())
    spread = math.sqrt(squares / (len(scores) - 1)) or math.ulp(mean)
    lowest = mean - _DBSF_DEVIATIONS * spread
    width = 2 * _DBSF_DEVIATIONS * spread
    return {key: min(1.0, max(0.0, (score - lowest) / width)) for key, score in scores.items()}


def _mean(left: Scores, right: Scores) -> dict[Hashable, float]:
    return {key: (left.get(key, 0.0) + right.get(key, 0.0)) / 2 for key in {**left, **right}}


def _rank(
    scores: Scores,
    dense: Scores,
    sparse: Scores,
    limit: int | None,
) -> list[Fused]:
    dense_ranks, sparse_ranks = _ranks(dense), _ranks(sparse)
    return [
        Fused(
            key=key,
            score=scores[key],
            dense_rank=dense_ranks.get(key),
            dense_score=dense.get(key),
            sparse_rank=sparse_ranks.get(key),
            sparse_score=sparse.get(key),
        )
        for key in sorted(scores, key=scores.__getitem__, reverse=True)[:limit]
    ]


def _ranks(ids: Iterable[Hashable]) -> dict[Hashable, int]:
    return {key: rank for rank, key in enumerate(ids, start=1)}
