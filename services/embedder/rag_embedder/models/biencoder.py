"""Loads a sentence-transformers bi-encoder, and reads its parts and manifest."""

from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from rag_embedder.models.manifest import Manifest, Precision, Runtime, revision

_PLAIN = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])


class UnsupportedModelError(Exception):
    """The model is not a transformer with a fast tokenizer, mean or cls pooling and optional normalisation."""


def load(
    source: Path | str, device: str = "cpu", attention: str = "sdpa", *, cached: bool = False
) -> SentenceTransformer:
    """A model in float32 by hub name or directory; with `cached` from the local cache alone.

    Raises UnsupportedModelError.
    """
    model = SentenceTransformer(
        str(source),
        device=device,
        local_files_only=cached,
        model_kwargs={"attn_implementation": attention, "dtype": torch.float32},
    )
    if [type(module).__name__ for module in model] not in _PLAIN:
        raise UnsupportedModelError("not a transformer with pooling and normalisation")
    return model


def manifest(
    model: SentenceTransformer, source: Path | str, precision: Precision, runtime: Runtime
) -> Manifest:
    """The manifest of `model` as computed by `runtime`. Raises UnsupportedModelError."""
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
    """The transformer of the model. Raises UnsupportedModelError."""
    transformer = model[0].model
    if not isinstance(transformer, PreTrainedModel):
        raise UnsupportedModelError("not a model of transformers")
    return transformer


def tokenizer(model: SentenceTransformer) -> Tokenizer:
    """A copy of the model's tokenizer without truncation and padding. Raises UnsupportedModelError."""
    fast = getattr(model.tokenizer, "backend_tokenizer", None)
    if not isinstance(fast, Tokenizer):
        raise UnsupportedModelError("no fast tokenizer")
    copy = Tokenizer.from_str(fast.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy


def pooling(model: SentenceTransformer) -> str:
    """The pooling, "mean" or "cls". Raises UnsupportedModelError for any other."""
    mode = str(model[1].pooling_mode)
    if mode not in ("mean", "cls"):
        raise UnsupportedModelError("pooling is neither mean nor cls")
    return mode


def _name(source: Path | str) -> str:
    path = Path(source)
    return path.resolve().name if path.is_dir() else str(source)


def _revision(model: SentenceTransformer) -> str:
    state = encoder(model).state_dict()
    tensors = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in state.items()}
    return revision(tokenizer(model), tensors)


def _max_tokens(model: SentenceTransformer) -> int:
    positions = int(encoder(model).config.max_position_embeddings)
    return min(int(model.max_seq_length or positions), positions)
