"""A cross-encoder from sentence-transformers: query and text in, relevance out."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from sentence_transformers import CrossEncoder

from rag_common import tracing
from rag_common.tracing import Attributes

# Texts scored at once; more only pad each other on a CPU.
_BATCH = 8


class CrossEncoderReranker:
    """Scores by a hub name or a folder, one call at a time, off the event loop."""

    def __init__(self, name: str, device: str) -> None:
        self.name = name
        self._model = CrossEncoder(name, device=device)
        self._pool = ThreadPoolExecutor(1, "rerank")

    async def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Relevance of each text, in order; higher is better."""
        loop = asyncio.get_running_loop()
        facts: Attributes = {"gen_ai.request.model": self.name, "rag.texts": len(texts)}
        with tracing.span("rerank", attributes=facts):
            return await loop.run_in_executor(self._pool, self._predict, query, list(texts))

    def _predict(self, query: str, texts: list[str]) -> list[float]:
        pairs = [(query, text) for text in texts]
        scores = self._model.predict(pairs, batch_size=_BATCH, show_progress_bar=False)
        return [float(score) for score in scores]
