"""Writes a Unigram tokenizer as a SentencePiece model, which takes a fifth of its memory.

The tokenizers library, here "the library", keeps a tree of hash tables over the bytes of all pieces:
254 MiB for the 250,002 of multilingual-e5-small.
"""

import json
from pathlib import Path
from typing import Any

from sentencepiece.sentencepiece_model_pb2 import ModelProto, TrainerSpec
from tokenizers import Tokenizer, models

from rag_embedder.models.prepare_model import FRAME, PIECES

# SentencePiece adds up scores in single precision. Multiples of this add up exactly down to -1024, a
# word of about 80 pieces, so segmentations with the same pieces in another order are tied, as in the
# library, and the same one is chosen. Finer and coarser units gave more differences (decision 16).
_SCORE_UNIT = 2.0**-14


def write(tokenizer: Tokenizer, directory: Path) -> None:
    """Write the pieces and the rest of a tokenizer with a Unigram model; the same bytes each time.

    Raises ValueError for any other tokenizer.
    """
    model = json.loads(tokenizer.to_str())["model"]
    if model["type"] != "Unigram" or model["byte_fallback"]:
        raise ValueError("not a Unigram model, or one with byte fallback")
    pieces = _model(model["vocab"], model["unk_id"])
    (directory / PIECES).write_bytes(pieces.SerializeToString(deterministic=True))
    unknown, _ = model["vocab"][model["unk_id"]]
    _frame(tokenizer, unknown).save(str(directory / FRAME), pretty=False)


def _model(vocabulary: list[tuple[str, float]], unknown: int) -> Any:
    """The pieces in the order of their ids. SentencePiece marks a word's start and changes nothing else.

    Special tokens are pieces like others: the library, too, finds them in normalized text.
    """
    model, kinds = ModelProto(), ModelProto.SentencePiece
    for number, (piece, score) in enumerate(vocabulary):
        kind = kinds.UNKNOWN if number == unknown else kinds.NORMAL
        rounded = round(score / _SCORE_UNIT) * _SCORE_UNIT
        model.pieces.add(piece=piece, score=rounded, type=kind)
    model.trainer_spec.model_type = TrainerSpec.UNIGRAM
    model.trainer_spec.vocab_size = len(vocabulary)
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = True
    model.normalizer_spec.escape_whitespaces = True
    model.normalizer_spec.remove_extra_whitespaces = False
    return model


def _frame(tokenizer: Tokenizer, unknown: str) -> Tokenizer:
    """The tokenizer without its pieces: normalizer, special tokens and post-processor."""
    special = tokenizer.get_added_tokens_decoder()
    names = {str(token.content): number for number, token in special.items()}
    frame = Tokenizer(models.WordLevel(names, unknown))
    frame.normalizer = tokenizer.normalizer
    frame.post_processor = tokenizer.post_processor
    frame.add_special_tokens(list(special.values()))
    return frame
