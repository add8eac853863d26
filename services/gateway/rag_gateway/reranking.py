"""Passages in a cross-encoder's order: never at the price of the answer, nor of the search's own order."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from rag.types.v1.passage_pb2 import ScoredPassage
from rag_common import errors
from rag_common.context import CALL
from rag_gateway.journey import Journey
from rag_gateway.question import Retrieval

# What Journey.degraded says where the order is the search's.
RERANKER = "reranker"

# So many passages are read at most; a cross-encoder's time grows with each.
_MOST = 50
# The share it may use of the time that is left when it begins; the rest is for the answer.
_SHARE = 0.5
# What its absence looks like. One that is not configured is the caller's mistake, and an error.
_AWAY = (TimeoutError, errors.Unavailable, errors.DeadlineExceeded, errors.ResourceExhausted)


class Scoring(Protocol):
    """Scores each text by how well it answers the query, more is better. Raises AppError."""

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]: ...


def widened(options: Retrieval) -> Retrieval:
    """What to search for, that there is something to choose from."""
    if not options.rerank:
        return options
    return replace(options, top_k=max(options.top_k, min(_MOST, options.candidates)))


async def reordered(
    scoring: Scoring,
    query: str,
    passages: Sequence[ScoredPassage],
    top_k: int,
    journey: Journey,
) -> Sequence[ScoredPassage]:
    """The best `top_k` of the passages by their scores.

    Where the scores cannot be had within half of the call's time, the best of the search's own
    order, which the journey then notes. Raises NotConfigured.
    """
    try:
        async with asyncio.timeout(_seconds()):
            scores = await scoring.rerank(query, [item.passage.text for item in passages])
    except _AWAY:
        journey.degraded.append(RERANKER)
        return passages[:top_k]
    for item, score in zip(passages, scores, strict=True):
        item.evidence.rerank_score = score
    return sorted(passages, key=lambda item: -item.evidence.rerank_score)[:top_k]


def _seconds() -> float | None:
    call = CALL.get()
    return max(0.0, call.remaining) * _SHARE if call else None
