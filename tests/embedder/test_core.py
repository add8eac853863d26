"""The embedder's rules for texts; model and analysis are scripted neighbours."""

import unicodedata
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest

from rag_common import errors
from rag_embedder.batching import Outcome, Priority
from rag_embedder.core import MOST_TEXTS, Embedder, Engine, Vector, Wanted
from rag_embedder.manifest import Manifest
from rag_embedder.sparse import SparseVector
from rag_embedder.tokens import Tokens

MANIFEST = Manifest(
    "scripted",
    "r1",
    2,
    8,
    {"query": "query: ", "passage": "passage: "},
    "mean",
    True,
    "fp32",
    "onnx",
)
QUERY, DOCUMENT = Wanted(query=True), Wanted(query=False)


@dataclass
class WordModel:
    """A token a word; keeps what it was asked to tokenise."""

    manifest: Manifest = MANIFEST
    fingerprint: str = "scripted-1"
    seen: list[str] = field(default_factory=list)

    def tokenize(self, texts: list[str]) -> list[Tokens]:
        self.seen += texts
        words = [text.split() for text in texts]
        return [Tokens(list(range(min(len(row), 8))), len(row)) for row in words]

    def spell(self, ids: Sequence[int]) -> list[str]:
        return [f"w{number}" for number in ids]


class WordSparse:
    def document(self, text: str) -> SparseVector:
        return SparseVector((1,), (0.5,), (text,))

    def query(self, text: str) -> SparseVector:
        return SparseVector((1,), (1.0,), (text,))


@dataclass
class LengthQueue:
    """A vector that says how many tokens the text had."""

    asked: list[Priority] = field(default_factory=list)

    async def run(self, batch: Sequence[list[int]], priority: Priority) -> Outcome[Vector]:
        self.asked.append(priority)
        vectors = [np.array([len(ids), 0], np.float32) for ids in batch]
        return Outcome(vectors, 0.25, 0.5)


@dataclass
class Setting:
    model: WordModel
    queue: LengthQueue
    embedder: Embedder


@pytest.fixture
def setting() -> Iterator[Setting]:
    model, queue = WordModel(), LengthQueue()
    engine = Engine(model, WordSparse(), "words 1", queue, None)
    with ThreadPoolExecutor(1) as analysis:
        yield Setting(model, queue, Embedder(lambda: engine, analysis, text_characters=500))


async def test_texts_are_composed_and_get_the_prompt_of_their_task(setting: Setting) -> None:
    await setting.embedder.embed([unicodedata.normalize("NFD", "연차")], QUERY)
    await setting.embedder.embed(["연차"], DOCUMENT)
    assert setting.model.seen == ["query: 연차", "passage: 연차"]


async def test_sparse_vectors_are_of_the_text_without_its_prompt(setting: Setting) -> None:
    done = await setting.embedder.embed(["연차"], QUERY)
    assert done.embeddings[0].sparse == SparseVector((1,), (1.0,), ("연차",))


async def test_the_order_of_the_texts_is_kept(setting: Setting) -> None:
    done = await setting.embedder.embed(["a b c", "a", "a b"], DOCUMENT)
    assert [item.tokens for item in done.embeddings] == [4, 2, 3]
    assert [item.dense[0] for item in done.embeddings if item.dense is not None] == [4, 2, 3]


async def test_sparse_alone_costs_no_inference(setting: Setting) -> None:
    done = await setting.embedder.embed(["연차"], Wanted(query=True, dense=False))
    assert (setting.queue.asked, setting.model.seen) == ([], [])
    assert done.embeddings[0].dense is None
    assert done.embeddings[0].tokens == 0


async def test_questions_and_passages_are_queued_as_what_they_are(setting: Setting) -> None:
    await setting.embedder.embed(["연차"], QUERY)
    await setting.embedder.embed(["연차"], DOCUMENT)
    assert setting.queue.asked == [Priority.QUERY, Priority.DOCUMENT]


async def test_a_text_over_the_models_length_is_refused_by_name(setting: Setting) -> None:
    with pytest.raises(errors.InputTooLong) as refused:
        await setting.embedder.embed(["a", "b " * 20], DOCUMENT)
    [violation] = refused.value.violations
    assert violation.field == "texts[1]"
    assert "21 tokens" in violation.description
    assert setting.queue.asked == []


async def test_a_text_may_be_cut_where_that_was_asked_for(setting: Setting) -> None:
    done = await setting.embedder.embed(["b " * 20], Wanted(query=False, truncate=True))
    assert (done.embeddings[0].tokens, done.embeddings[0].truncated) == (21, True)


@pytest.mark.parametrize("blank", ["", "  ", "\n\t", "\u3000"])
async def test_an_empty_text_is_refused_by_name(setting: Setting, blank: str) -> None:
    with pytest.raises(errors.InvalidArgument) as refused:
        await setting.embedder.embed(["a", blank], QUERY)
    assert refused.value.violations[0].field == "texts[1]"


async def test_a_text_of_too_many_characters_is_refused_before_it_is_tokenised(
    setting: Setting,
) -> None:
    with pytest.raises(errors.InputTooLong):
        await setting.embedder.embed(["가" * 501], Wanted(query=False, truncate=True))
    assert setting.model.seen == []


@pytest.mark.parametrize("count", [0, MOST_TEXTS + 1])
async def test_a_batch_has_a_least_and_a_most_size(setting: Setting, count: int) -> None:
    with pytest.raises(errors.InvalidArgument) as refused:
        await setting.embedder.embed(["a"] * count, QUERY)
    assert refused.value.violations[0].field == "texts"


async def test_seconds_are_reported_by_stage(setting: Setting) -> None:
    done = await setting.embedder.embed(["a"], QUERY)
    assert (done.queue_seconds, done.inference_seconds) == (0.25, 0.5)
    assert done.fingerprint == "scripted-1"


async def test_reranking_without_a_cross_encoder_says_so(setting: Setting) -> None:
    with pytest.raises(errors.NotConfigured):
        await setting.embedder.rerank("a", ["b"])


async def test_until_the_model_is_loaded_every_call_says_so() -> None:
    def loading() -> Engine:
        raise errors.ModelLoading("the model is being loaded", retry_after=2.0)

    with ThreadPoolExecutor(1) as analysis:
        embedder = Embedder(loading, analysis, text_characters=500)
        with pytest.raises(errors.ModelLoading):
            await embedder.embed(["a"], QUERY)
        with pytest.raises(errors.ModelLoading):
            await embedder.tokenize("a", query=True)
