"""Fuses the dense and the sparse candidates of a query into one ranking."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import fmean
from typing import Protocol

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


class Candidate(Protocol):
    """A passage in one of the two lists; `score` is cosine similarity or BM25, higher is better."""

    @property
    def passage_id(self) -> str: ...

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

    passage_id: str
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
    dense_scores = {item.passage_id: item.score for item in dense}
    sparse_scores = {item.passage_id: item.score for item in sparse}
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


def _sparse_distribution(
    dense: Mapping[str, float], sparse: Mapping[str, float], query_terms: int
) -> dict[str, float]:
    """The sparse list's distribution over all candidates; one not in the list has score 0.

    Including those keeps a single weak hit from getting probability 1.
    """
    if not sparse:
        return {}
    temperature = _TEMPERATURE_PER_ROOT_TERM * math.sqrt(query_terms)
    return _softmax(
        {passage_id: sparse.get(passage_id, 0.0) for passage_id in {**dense, **sparse}}, temperature
    )


def _sparse_weight(coverage: float) -> float:
    """The weight of the sparse list relative to a weight of 1 for the dense list.

    If the best hit contains only a third of the query terms, those matches are likely accidental;
    a query in another language than the passages is the common case.
    """
    present, missing = coverage**2, (1 - coverage) ** 2
    return present / (present + _MISSING_TERMS_PENALTY * missing)


def _mixture(
    dense: Mapping[str, float], sparse: Mapping[str, float], sparse_weight: float
) -> dict[str, float]:
    weight = 1.0 if not dense else sparse_weight / (1 + sparse_weight) if sparse else 0.0
    return {
        passage_id: (1 - weight) * dense.get(passage_id, 0.0) + weight * sparse.get(passage_id, 0.0)
        for passage_id in {**dense, **sparse}
    }


def _softmax(scores: Mapping[str, float], temperature: float) -> dict[str, float]:
    if not scores:
        return {}
    best = max(scores.values())
    odds = {
        passage_id: math.exp((score - best) / temperature) for passage_id, score in scores.items()
    }
    total = sum(odds.values())
    return {passage_id: value / total for passage_id, value in odds.items()}


def _temperature(scores: Mapping[str, float]) -> float:
    if not scores:
        return 1.0
    excess = fmean(scores.values()) - min(scores.values())
    return max(_TEMPERATURE_PER_EXCESS * excess, _MIN_TEMPERATURE)


def _reciprocal_ranks(scores: Mapping[str, float]) -> dict[str, float]:
    return {
        passage_id: (_RRF_K + 1) / (_RRF_K + rank)
        for rank, passage_id in enumerate(scores, start=1)
    }


def _scaled_by_deviation(scores: Mapping[str, float]) -> dict[str, float]:
    """Scores scaled to 0 at three standard deviations below the mean and 1 at three above."""
    if len(set(scores.values())) < 2:
        return dict.fromkeys(scores, 0.5)
    mean = fmean(scores.values())
    squares = sum((score - mean) ** 2 for score in scores.values())
    spread = math.sqrt(squares / (len(scores) - 1)) or math.ulp(mean)
    lowest = mean - _DBSF_DEVIATIONS * spread
    width = 2 * _DBSF_DEVIATIONS * spread
    return {
        passage_id: min(1.0, max(0.0, (score - lowest) / width))
        for passage_id, score in scores.items()
    }


def _mean(left: Mapping[str, float], right: Mapping[str, float]) -> dict[str, float]:
    return {
        passage_id: (left.get(passage_id, 0.0) + right.get(passage_id, 0.0)) / 2
        for passage_id in {**left, **right}
    }


def _rank(
    scores: Mapping[str, float],
    dense: Mapping[str, float],
    sparse: Mapping[str, float],
    limit: int | None,
) -> list[Fused]:
    dense_ranks, sparse_ranks = _ranks(dense), _ranks(sparse)
    return [
        Fused(
            passage_id=passage_id,
            score=scores[passage_id],
            dense_rank=dense_ranks.get(passage_id),
            dense_score=dense.get(passage_id),
            sparse_rank=sparse_ranks.get(passage_id),
            sparse_score=sparse.get(passage_id),
        )
        for passage_id in sorted(scores, key=scores.__getitem__, reverse=True)[:limit]
    ]


def _ranks(ids: Iterable[str]) -> dict[str, int]:
    return {passage_id: rank for rank, passage_id in enumerate(ids, start=1)}
