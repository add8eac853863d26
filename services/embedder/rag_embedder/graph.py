"""A bi-encoder as one ONNX graph, from token ids to unit vectors."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

from rag_embedder import biencoder

# The fusions of onnxruntime.transformers are written for the operators of this one.
_OPSET = 17


class BiEncoder(nn.Module):
    """(input_ids, attention_mask), both int64 [n, tokens], to float32 [n, dims] of unit length."""

    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__()
        self.pooling = biencoder.pooling(model)
        self.encoder = biencoder.encoder(model)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        if self.pooling == "cls":
            return nn.functional.normalize(states[:, 0], dim=-1)
        # Of the mean only the direction is kept, and the sum has the same.
        total = (states * attention_mask.unsqueeze(-1).to(states.dtype)).sum(1)
        return nn.functional.normalize(total, dim=-1)

    def quantise_words(self) -> None:
        """Keep the word table, most of a multilingual model, in int8 from here on."""
        table = self.encoder.get_input_embeddings()
        if type(table) is nn.Embedding:
            self.encoder.set_input_embeddings(_RowQuantised(table))


class _RowQuantised(nn.Module):
    """An embedding table in int8 with a scale a row; errors stay under 1/254 of a row's peak."""

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        weight = table.weight.detach()
        scale = weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
        self.register_buffer("scale", scale)
        self.register_buffer("rows", torch.round(weight / scale).to(torch.int8))

    def forward(self, input_ids: Tensor) -> Tensor:
        rows = nn.functional.embedding(input_ids, self.get_buffer("rows"))
        scale = nn.functional.embedding(input_ids, self.get_buffer("scale"))
        return rows.to(torch.float32) * scale


def write(module: BiEncoder, path: Path) -> None:
    """Trace `module` into `path`; the batch and the number of tokens stay free."""
    ids = torch.tensor([[5, 6, 7, 8], [5, 6, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    axes = {0: "batch", 1: "tokens"}
    with warnings.catch_warnings():
        # torch warns of every shape it traces and of this exporter's age.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (ids, mask),
            str(path),
            dynamo=False,
            opset_version=_OPSET,
            input_names=["input_ids", "attention_mask"],
            output_names=["embedding"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "embedding": {0: "batch"}},
        )
