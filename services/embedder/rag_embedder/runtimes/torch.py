"""Models on sentence-transformers and torch: the reference, the runtime for GPUs, and rerankers."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder

from rag_common.observability import tracing
from rag_common.observability.tracing import Attributes
from rag_embedder.models import biencoder
from rag_embedder.models.manifest import fingerprint
from rag_embedder.runtimes.tokenizer import TextTokenizer


class TorchModel(TextTokenizer):
    """Texts to unit vectors, by hub name or directory; safe to call from several threads at once.

    With `cached` a model of the hub is loaded from the local cache alone.
    Raises biencoder.UnsupportedModelError for models that are not plain bi-encoders.
    """

    def __init__(
        self,
        source: Path | str,
        device: str = "cpu",
        precision: Literal["fp32", "fp16"] = "fp32",
        *,
        cached: bool = False,
    ) -> None:
        model = biencoder.load(source, device, cached=cached)
        self.manifest = biencoder.manifest(model, source, precision, "torch")
        self.fingerprint = fingerprint(self.manifest)
        super().__init__(biencoder.tokenizer(model), self.manifest.max_tokens)
        self._model = model.half() if precision == "fp16" else model
        self._device = device

    def encode(self, batch: list[list[int]]) -> NDArray[np.float32]:
        """Unit vectors [n, dims] of token ids from `tokenize`."""
        if not batch:
            return np.empty((0, self.manifest.dims), np.float32)
        with torch.inference_mode():
            vectors = self._model(self._features(batch))["sentence_embedding"].float()
            unit = torch.nn.functional.normalize(vectors, dim=-1)
        return np.asarray(unit.cpu().numpy(), np.float32)

    def _features(self, batch: list[list[int]]) -> dict[str, torch.Tensor]:
        longest = max(map(len, batch))
        ids = torch.zeros((len(batch), longest), dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        return {"input_ids": ids.to(self._device), "attention_mask": mask.to(self._device)}


# Texts per batch; on a CPU larger batches only add padding.
_BATCH = 8


class CrossEncoderReranker:
    """Scores texts with a model of the hub or a folder, one call at a time, in a thread."""

    def __init__(self, name: str, device: str, *, cached: bool = False) -> None:
        """Load the model; with `cached` from the local cache alone."""
        self.name = name
        self._model = CrossEncoder(name, device=device, local_files_only=cached)
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
