"""Reranking with a real cross-encoder, built small: the model is its neighbour, the adapter is tested."""

from pathlib import Path

import pytest
import torch
from sentence_transformers import CrossEncoder
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

from rag_embedder.adapters.crossencoder import CrossEncoderReranker

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "leave",
    "office",
    "days",
    "fifteen",
    "seoul",
]
TEXTS = ["fifteen days", "seoul office", "leave days leave"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cross-encoder")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        num_labels=1,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


async def test_scores_are_the_models_own_in_the_order_of_the_texts(folder: Path) -> None:
    reranker = CrossEncoderReranker(str(folder), "cpu")
    expected = CrossEncoder(str(folder), device="cpu").predict([("leave", text) for text in TEXTS])
    assert await reranker.scores("leave", TEXTS) == pytest.approx(expected.tolist(), abs=1e-5)


async def test_the_order_of_the_texts_does_not_change_their_scores(folder: Path) -> None:
    reranker = CrossEncoderReranker(str(folder), "cpu")
    forward = await reranker.scores("leave", TEXTS)
    assert await reranker.scores("leave", TEXTS[::-1]) == pytest.approx(forward[::-1], abs=1e-5)


def test_its_name_is_where_it_came_from(folder: Path) -> None:
    assert CrossEncoderReranker(str(folder), "cpu").name == str(folder)
