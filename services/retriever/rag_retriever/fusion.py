"""Fuses a dense and a sparse list of candidates into one ranking."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import fmean
from typing import Protocol

# By chance, sums of n term weights spread as the root of n does.
_TEMPERATURE_PER_ROOT_TERM = 0.9
_USUAL_TERMS = 5
# How fast doubt grows with the share of the question that no passage answers to.
_DOUBT = 6.0
# Of a list's mean excess over its last score, which for an exponential tail is the tail's scale.
_TEMPERATURE_PER_EXCESS = 1.3
_LEAST_TEMPERATURE = 1e-6

# Cormack, Clarke and Buettcher (2009), "Reciprocal Rank Fusion outperforms Condorcet".
_RRF_K = 60
_DBSF_DEVIATIONS = 3


class Candidate(Protocol):
    """A passage as a list has it: cosine similarity or BM25, more is better."""

    @property
    def id(self) -> str: ...

    @property
    def score(self) -> float: ...


class Method(Enum):
    """How two lists become one.

    POSTERIOR: the probability that this candidate is the one meant, given that one of them is: a
    mixture of what each list believes. RRF: reciprocal ranks, 1 for first in both. DBSF: scores
    by their distance from each list's mean in deviations, 1 for three above in both.
    """

    POSTERIOR = "posterior"
    RRF = "rrf"
    DBSF = "dbsf"


@dataclass(frozen=True, slots=True)
class Fused:
    """A passage with its fused score in [0, 1]; rank from 1 and raw score where a list has it."""

    id: str
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
    """The candidates of both lists, each once, best first; the best `limit` of them.

    The lists are best first, with unique ids and finite scores. The posterior also asks how many
    distinct terms the sparse query has and which share of them (0 to 1) the first sparse candidate
    holds.
    """
    dense_scores = {item.id: item.score for item in dense}
    sparse_scores = {item.id: item.score for item in sparse}
    if method is Method.RRF:
        scores = _mean(_reciprocal_ranks(dense_scores), _reciprocal_ranks(sparse_scores))
    elif method is Method.DBSF:
        scores = _mean(_deviations(dense_scores), _deviations(sparse_scores))
    else:
        scores = _mixture(
            _softmax(dense_scores, _temperature(dense_scores)),
            _sparse_belief(dense_scores, sparse_scores, query_terms or _USUAL_TERMS),
            _trust(coverage),
        )
    return _ranked(scores, dense_scores, sparse_scores, limit)


def single(
    *,
    dense: Sequence[Candidate] = (),
    sparse: Sequence[Candidate] = (),
    limit: int | None = None,
) -> list[Fused]:
    """One list alone, in its order, scored as POSTERIOR scores it; the best `limit` of it."""
    return fuse(dense, sparse, limit=limit)


def _sparse_belief(
    dense: Mapping[str, float], sparse: Mapping[str, float], query_terms: int
) -> dict[str, float]:
    """What the sparse list says of all candidates: one that it lacks shares no term, score 0.

    So one weak hit alone is not mistaken for a certain one.
    """
    if not sparse:
        return {}
    temperature = _TEMPERATURE_PER_ROOT_TERM * math.sqrt(query_terms)
    return _softmax({id: sparse.get(id, 0.0) for id in {**dense, **sparse}}, temperature)


def _trust(coverage: float) -> float:
    """The weight of the sparse list where the dense one has 1.

    Where the best hit shares one word in three, the words are chance: a question in another
    language than the passages is the common case.
    """
    known, unknown = coverage**2, (1 - coverage) ** 2
    return known / (known + _DOUBT * unknown)


def _mixture(
    dense: Mapping[str, float], sparse: Mapping[str, float], trust: float
) -> dict[str, float]:
    weight = 1.0 if not dense else trust / (1 + trust) if sparse else 0.0
    return {
        id: (1 - weight) * dense.get(id, 0.0) + weight * sparse.get(id, 0.0)
        for id in {**dense, **sparse}
    }


def _softmax(scores: Mapping[str, float], temperature: float) -> dict[str, float]:
    if not scores:
        return {}
    best = max(scores.values())
    odds = {id: math.exp((score - best) / temperature) for id, score in scores.items()}
    total = sum(odds.values())
    return {id: value / total for id, value in odds.items()}


def _temperature(scores: Mapping[str, float]) -> float:
    if not scores:
        return 1.0
    excess = fmean(scores.values()) - min(scores.values())
    return max(_TEMPERATURE_PER_EXCESS * excess, _LEAST_TEMPERATURE)


def _reciprocal_ranks(scores: Mapping[str, float]) -> dict[str, float]:
    return {id: (_RRF_K + 1) / (_RRF_K + rank) for rank, id in enumerate(scores, start=1)}


def _deviations(scores: Mapping[str, float]) -> dict[str, float]:
    """Distribution-based: 0 at three deviations below the mean, 1 at three above."""
    if len(set(scores.values())) < 2:
        return dict.fromkeys(scores, 0.5)
    mean = fmean(scores.values())
    squares = sum((score - mean) ** 2 for score in scores.values())
    spread = math.sqrt(squares / (len(scores) - 1)) or math.ulp(mean)
    lowest = mean - _DBSF_DEVIATIONS * spread
    width = 2 * _DBSF_DEVIATIONS * spread
    return {id: min(1.0, max(0.0, (score - lowest) / width)) for id, score in scores.items()}


def _mean(left: Mapping[str, float], right: Mapping[str, float]) -> dict[str, float]:
    return {id: (left.get(id, 0.0) + right.get(id, 0.0)) / 2 for id in {**left, **right}}


def _ranked(
    scores: Mapping[str, float],
    dense: Mapping[str, float],
    sparse: Mapping[str, float],
    limit: int | None,
) -> list[Fused]:
    dense_ranks, sparse_ranks = _ranks(dense), _ranks(sparse)
    return [
        Fused(
            id=id,
            score=scores[id],
            dense_rank=dense_ranks.get(id),
            dense_score=dense.get(id),
            sparse_rank=sparse_ranks.get(id),
            sparse_score=sparse.get(id),
        )
        for id in sorted(scores, key=scores.__getitem__, reverse=True)[:limit]
    ]


def _ranks(ids: Iterable[str]) -> dict[str, int]:
    return {id: rank for rank, id in enumerate(ids, start=1)}
