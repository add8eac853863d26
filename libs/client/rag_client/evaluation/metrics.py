"""Ranking metrics with binary relevance, each of one query."""

import math
from collections.abc import Iterable, Mapping, Sequence, Set

NDCG = "nDCG@10"
NAMES = ("Recall@1", "Recall@5", "Recall@10", "MRR@10", NDCG)
DEPTH = 10


def measure(ranked: Sequence[str], relevant: Set[str]) -> Mapping[str, float]:
    """All metrics of one query, by name; `ranked` holds each document once."""
    return {
        "Recall@1": recall(ranked, relevant, 1),
        "Recall@5": recall(ranked, relevant, 5),
        "Recall@10": recall(ranked, relevant, 10),
        "MRR@10": reciprocal_rank(ranked, relevant, 10),
        NDCG: ndcg(ranked, relevant, 10),
    }


def by_document(document_ids: Iterable[str]) -> list[str]:
    """Documents in the order of the best passage of each."""
    return list(dict.fromkeys(document_ids))


def recall(ranked: Sequence[str], relevant: Set[str], depth: int) -> float:
    """Share of the relevant documents that stand among the first `depth`."""
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
