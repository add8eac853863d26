"""A model on sentence-transformers and torch: the reference, and the runtime for GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from rag_embedder import biencoder
from rag_embedder.adapters.tokenizer import TextTokenizer
from rag_embedder.fingerprint import fingerprint
from rag_embedder.tokens import Tokens


class TorchModel:
    """Texts to unit vectors, by hub name or directory; safe to call from several threads at once.

    Raises biencoder.UnsupportedModelError for models that are not plain bi-encoders.
    """

    def __init__(
        self,
        source: Path | str,
        device: str = "cpu",
        precision: Literal["fp32", "fp16"] = "fp32",
    ) -> None:
        model = biencoder.load(source, device)
        self.manifest = biencoder.manifest(model, source, precision, "torch")
        self.fingerprint = fingerprint(self.manifest)
        self._tokenizer = TextTokenizer(biencoder.tokenizer(model), self.manifest.max_tokens)
        self._model = model.half() if precision == "fp16" else model
        self._device = device

    def tokenize(self, texts: list[str]) -> list[Tokens]:
        """The token ids of each text, special ones included; prompts are the caller's to add."""
        return self._tokenizer.tokenize(texts)

    def spell(self, ids: Sequence[int]) -> list[str]:
        """The tokens' own spelling, special ones included."""
        return self._tokenizer.spell(ids)

    def encode(self, batch: list[list[int]]) -> NDArray[np.float32]:
        """Unit vectors [n, dims] of token ids as `tokenize` gives them."""
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
