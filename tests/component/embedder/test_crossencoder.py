"""Reranking with a real cross-encoder, built small."""

from pathlib import Path

import pytest
import torch
from sentence_transformers import CrossEncoder
from transformers import BertForSequenceClassification

from rag_embedder.runtimes.torch import CrossEncoderReranker
from tests.support.embedder.small import config, word_tokenizer

TEXTS = ["red cat", "blue bird", "dog green dog"]


async def test_scores_are_the_models_own_in_the_order_of_the_texts(tmp_path: Path) -> None:
    torch.manual_seed(7)
    BertForSequenceClassification(config(num_labels=1)).save_pretrained(tmp_path)
    word_tokenizer().save_pretrained(tmp_path)
    reranker = CrossEncoderReranker(str(tmp_path), "cpu")
    model = CrossEncoder(str(tmp_path), device="cpu")
    expected = model.predict([("red", text) for text in TEXTS]).tolist()
    assert len(set(expected)) == len(TEXTS)
    for step in (1, -1):
        scores = await reranker.scores("red", TEXTS[::step])
        assert scores == pytest.approx(expected[::step], abs=1e-5)
    assert reranker.name == str(tmp_path)
