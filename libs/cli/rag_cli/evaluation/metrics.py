"""Ranking metrics of a query, with binary relevance."""

import math
import random
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

NDCG = "nDCG@10"
NAMES = ("Recall@1", "Recall@5", "Recall@10", "MRR@10", NDCG)


def measure(ranked: Sequence[str], relevant: Set[str]) -> Mapping[str, float]:
    """All metrics of a query by name; `ranked` contains each document once."""
    return {
        "Recall@1": recall(ranked, relevant, 1),
        "Recall@5": recall(ranked, relevant, 5),
        "Recall@10": recall(ranked, relevant, 10),
        "MRR@10": reciprocal_rank(ranked, relevant, 10),
        NDCG: ndcg(ranked, relevant, 10),
    }


def by_document(document_ids: Iterable[str]) -> list[str]:
    """Documents in the order of their best passages."""
    return list(dict.fromkeys(document_ids))


def recall(ranked: Sequence[str], relevant: Set[str], depth: int) -> float:
    """Share of the relevant documents that are among the first `depth`."""
    return len(relevant & set(ranked[:depth])) / len(relevant)


def reciprocal_rank(ranked: Sequence[str], relevant: Set[str], depth: int) -> float:
    """One over the rank of the first relevant document; 0 beyond `depth`."""
    ranks = (rank for rank, item in enumerate(ranked[:depth], start=1) if item in relevant)
    return 1 / next(ranks, math.inf)


def ndcg(ranked: Sequence[str], relevant: Set[str], depth: int) -> float:
    """Discounted gain over the best possible one (Järvelin and Kekäläinen 2002; log2(rank + 1))."""
    gained = sum(_gain(rank) for rank, item in enumerate(ranked[:depth], 1) if item in relevant)
    ideal = sum(_gain(rank) for rank in range(1, min(len(relevant), depth) + 1))
    return gained / ideal


def _gain(rank: int) -> float:
    return 1 / math.log2(rank + 1)


_SEED = 20240229
_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95 % confidence interval (percentile bootstrap)."""

    mean: float
    low: float
    high: float


def intervals(
    columns: Mapping[str, Sequence[float]], resamples: int = _RESAMPLES
) -> dict[str, Interval]:
    """The interval of each column; columns have equal lengths and are resampled by the same rows.

    A column of differences is therefore a paired bootstrap. The interval of an empty column is 0.
    """
    count = len(next(iter(columns.values())))
    if not count:
        return dict.fromkeys(columns, Interval(0.0, 0.0, 0.0))
    rng = random.Random(_SEED)  # noqa: S311
    means: dict[str, list[float]] = {name: [] for name in columns}
    for _ in range(resamples):
        rows = rng.choices(range(count), k=count)
        for name, values in columns.items():
            means[name].append(sum(map(values.__getitem__, rows)) / count)
    return {name: _interval(columns[name], sorted(means[name])) for name in columns}


def differences(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """First minus second, row by row."""
    return [a - b for a, b in zip(first, second, strict=True)]


def _interval(values: Sequence[float], means: Sequence[float]) -> Interval:
    low, high = int(0.025 * len(means)), int(0.975 * len(means)) - 1
    return Interval(sum(values) / len(values), means[low], means[max(high, low)])
