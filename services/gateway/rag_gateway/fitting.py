"""Whether the index is there and takes the model's vectors."""

import time

from prometheus_client import Gauge

from rag_common import errors
from rag_gateway.adapters.embedder import Embedder
from rag_gateway.adapters.retriever import Retriever

# How long it is taken for granted that model and index fit.
_SECONDS = 30.0


class FittingIndex:
    """Makes the index once the model is known, and sees that the two still fit each other."""

    def __init__(self, embedding: Embedder, shelf: Retriever, name: str, fits: Gauge) -> None:
        self._fits = fits
        self._embedding = embedding
        self._shelf = shelf
        self._name = name
        self._good_until = 0.0

    async def ready(self) -> None:
        """Return where the index takes the model's vectors. Raises EmbeddingMismatch, Unavailable."""
        if time.monotonic() < self._good_until:
            return
        model = await self._embedding.model()
        try:
            await self._shelf.ensure_index(self._name, model.dimensions, model.fingerprint)
        except errors.EmbeddingMismatch:
            self._fits.set(0)
            raise
        self._fits.set(1)
        self._good_until = time.monotonic() + _SECONDS
