"""Reranking with a cross-encoder; if it is unavailable or slow, the search's order is kept."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from rag.types.v1.passage_pb2 import ScoredPassage
from rag_common.context import CALL
from rag_contract import errors
from rag_gateway.answering.model import Provenance, Retrieval

# The entry in Provenance.degraded if the passages could not be reranked.
RERANKER = "reranker"

# At most this many passages are reranked; a cross-encoder's time grows with each.
_MAX_PASSAGES = 50
# The share of the remaining time that reranking may use; the rest is for the answer.
_TIME_SHARE = 0.5
# Errors that mean the reranker is unavailable. A reranker that is not configured is an error of the request.
_UNAVAILABLE = (
    TimeoutError,
    errors.Unavailable,
    errors.DeadlineExceeded,
    errors.ResourceExhausted,
)


class Reranker(Protocol):
    """Scores each text by how well it answers the query, higher is better. Raises AppError."""

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]: ...


def widened(options: Retrieval) -> Retrieval:
    """The options with a larger `top_k` if the results are reranked, so that there are candidates."""
    if not options.rerank:
        return options
    return replace(options, top_k=max(options.top_k, min(_MAX_PASSAGES, options.candidates)))


async def reordered(
    reranker: Reranker,
    query: str,
    passages: Sequence[ScoredPassage],
    top_k: int,
    provenance: Provenance,
) -> Sequence[ScoredPassage]:
    """The best `top_k` of the passages by their rerank scores.

    If the scores are not available within half of the call's remaining time, the first `top_k` in the
    search's order, and `provenance` records the reranker as degraded. Raises NotConfigured.
    """
    try:
        async with asyncio.timeout(_timeout()):
            scores = await reranker.rerank(query, [item.passage.text for item in passages])
    except _UNAVAILABLE:
        provenance.degraded.append(RERANKER)
        return passages[:top_k]
    for item, score in zip(passages, scores, strict=True):
        item.evidence.rerank_score = score
    return sorted(passages, key=lambda item: -item.evidence.rerank_score)[:top_k]


def _timeout() -> float | None:
    call = CALL.get()
    return max(0.0, call.remaining) * _TIME_SHARE if call else None
