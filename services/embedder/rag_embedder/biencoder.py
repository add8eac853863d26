"""Reading a sentence-transformers bi-encoder: its parts, and what its vectors depend on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from rag_embedder.manifest import Manifest, Precision, Runtime

_DIGITS = 16
_PLAIN = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])


class UnsupportedModelError(Exception):
    """Not a transformer with a fast tokenizer, mean or cls pooling and perhaps normalisation."""


def load(source: Path | str, device: str = "cpu", attention: str = "sdpa") -> SentenceTransformer:
    """A model in float32 by hub name or directory. Raises UnsupportedModelError."""
    model = SentenceTransformer(
        str(source),
        device=device,
        model_kwargs={"attn_implementation": attention, "dtype": torch.float32},
    )
    if [type(module).__name__ for module in model] not in _PLAIN:
        raise UnsupportedModelError("not a transformer with pooling and normalisation")
    return model


def manifest(
    model: SentenceTransformer, source: Path | str, precision: Precision, runtime: Runtime
) -> Manifest:
    """Describe `model` as `runtime` is going to compute it. Raises UnsupportedModelError."""
    return Manifest(
        name=_name(source),
        revision=_revision(model),
        dims=int(model.get_embedding_dimension() or 0),
        max_tokens=_max_tokens(model),
        prompts={task: prompt for task, prompt in model.prompts.items() if prompt},
        pooling=pooling(model),
        normalised=True,
        precision=precision,
        runtime=runtime,
    )


def encoder(model: SentenceTransformer) -> PreTrainedModel:
    """The transformer inside."""
    found = model[0].model
    if not isinstance(found, PreTrainedModel):
        raise UnsupportedModelError("not a model of transformers")
    return found


def tokenizer(model: SentenceTransformer) -> Tokenizer:
    """A copy of its tokenizer, without any truncation or padding set."""
    found = getattr(model.tokenizer, "backend_tokenizer", None)
    if not isinstance(found, Tokenizer):
        raise UnsupportedModelError("no fast tokenizer")
    copy = Tokenizer.from_str(found.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy


def pooling(model: SentenceTransformer) -> str:
    """Either "mean" or "cls". Raises UnsupportedModelError for other ways to pool."""
    mode = str(model[1].pooling_mode)
    if mode not in ("mean", "cls"):
        raise UnsupportedModelError("pooling is neither mean nor cls")
    return mode


def _name(source: Path | str) -> str:
    path = Path(source)
    return path.resolve().name if path.is_dir() else str(source)


def _revision(model: SentenceTransformer) -> str:
    digest = hashlib.sha256(tokenizer(model).to_str().encode())
    for name, tensor in sorted(encoder(model).state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy())
    return digest.hexdigest()[:_DIGITS]


def _max_tokens(model: SentenceTransformer) -> int:
    positions = int(encoder(model).config.max_position_embeddings)
    return min(int(model.max_seq_length or positions), positions)
