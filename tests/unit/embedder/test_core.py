"""The embedder's work, with a model that counts words."""

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from rag_contract import errors
from rag_embedder import app
from rag_embedder.app import model_check
from rag_embedder.embedding.query_cache import QueryCache, QueryKey
from rag_embedder.embedding.service import MAX_TEXTS, Embedder, EmbedOptions, Engine, Vector
from rag_embedder.embedding.sparse import Bm25
from rag_embedder.embedding.tokens import Tokens
from rag_embedder.models.manifest import Manifest
from rag_embedder.queue.scheduler import ComputeResult, Priority

MOST_TOKENS = 8
HANGUL = "한국어 문서"


class Words:
    """A model whose tokens are words, with a prompt for each task."""

    fingerprint = "words-1"
    manifest = Manifest(
        name="words",
        revision="1",
        dims=1,
        max_tokens=MOST_TOKENS,
        prompts={"query": "query: ", "passage": "passage: "},
        pooling="mean",
        normalised=True,
        precision="fp32",
        runtime="onnx",
    )

    def __init__(self) -> None:
        self.texts: list[str] = []

    def tokenize(self, texts: list[str]) -> list[Tokens]:
        self.texts += texts
        result = [[len(word) for word in text.split()] for text in texts]
        return [Tokens(ids[:MOST_TOKENS], len(ids)) for ids in result]

    def decode(self, ids: Sequence[int]) -> list[str]:
        return ["x" * n for n in ids]


class Spaces:
    """Terms are what stands between spaces."""

    def terms(self, text: str) -> list[str]:
        return text.split()


@dataclass
class Queue:
    """Computes at once: the vector of a text is how many tokens it has."""

    batches: list[tuple[Priority, list[list[int]]]] = field(default_factory=list)

    async def run(
        self, batch: Sequence[list[int]], priority: Priority, tenant: str
    ) -> ComputeResult[Vector]:
        self.batches.append((priority, list(batch)))
        return ComputeResult([np.array([len(ids)], np.float32) for ids in batch], 0.0, 0.0)


class Lengths:
    """A cross-encoder that likes long texts."""

    name = "lengths"

    async def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        return [float(len(text)) for text in texts]


@dataclass
class Parts:
    """An embedder and what it is made of."""

    embedder: Embedder
    model: Words
    queue: Queue
    lookups: list[bool]


@asynccontextmanager
async def embedding(reranker: Lengths | None = None, cached: int = 0) -> AsyncIterator[Parts]:
    model, queue = Words(), Queue()
    lookups: list[bool] = []
    engine = Engine(model, Bm25(Spaces()), "spaces", queue, reranker)
    with ThreadPoolExecutor(1) as analysis:
        embedder = Embedder(
            lambda: engine, analysis, QueryCache(cached, lookups.append), text_characters=1000
        )
        yield Parts(embedder, model, queue, lookups)


QUERY = EmbedOptions(query=True)
DOCUMENT = EmbedOptions(query=False)


@pytest.mark.parametrize(
    ("wanted", "prompt", "priority"),
    [(QUERY, "query: ", Priority.QUERY), (DOCUMENT, "passage: ", Priority.DOCUMENT)],
)
async def test_a_task_has_its_prompt_and_its_priority(
    wanted: EmbedOptions, prompt: str, priority: Priority
) -> None:
    async with embedding() as parts:
        await parts.embedder.embed(["휴가는 며칠"], wanted)
    assert parts.model.texts == [f"{prompt}휴가는 며칠"]
    assert [of for of, _ in parts.queue.batches] == [priority]


async def test_embeddings_are_in_the_order_of_the_texts() -> None:
    lengths = [n % 7 for n in range(MAX_TEXTS)]
    async with embedding() as parts:
        done = await parts.embedder.embed(["w " * (n + 1) for n in lengths], DOCUMENT)
    assert [item.tokens for item in done.embeddings] == [n + 2 for n in lengths]
    dense = [float(item.dense[0]) for item in done.embeddings if item.dense is not None]
    assert dense == [n + 2 for n in lengths]


@pytest.mark.parametrize("wanted", [QUERY, DOCUMENT])
async def test_text_is_brought_to_nfc(wanted: EmbedOptions) -> None:
    apart = unicodedata.normalize("NFD", HANGUL)
    async with embedding() as parts:
        [one] = (await parts.embedder.embed([apart], wanted)).embeddings
        [other] = (await parts.embedder.embed([HANGUL], wanted)).embeddings
    assert one.sparse == other.sparse
    assert parts.model.texts[0] == parts.model.texts[1]


async def test_characters_are_counted_in_nfc() -> None:
    async with embedding() as parts:
        apart = unicodedata.normalize("NFD", "한" * 1000)
        assert (await parts.embedder.embed([apart], DOCUMENT)).embeddings
        with pytest.raises(errors.InputTooLong) as caught:
            await parts.embedder.embed(["가", "한" * 1001], DOCUMENT)
    assert caught.value.violations[0].field == "texts[1]"


@pytest.mark.parametrize(
    ("texts", "field"),
    [
        (["a", ""], "texts[1]"),
        (["a", " "], "texts[1]"),
        (["a", "\n\t　"], "texts[1]"),
        ([], "texts"),
        (["a"] * (MAX_TEXTS + 1), "texts"),
    ],
    ids=["empty", "a space", "white space", "no text", "too many"],
)
async def test_texts_that_are_empty_or_too_many_are_refused(texts: list[str], field: str) -> None:
    async with embedding() as parts:
        with pytest.raises(errors.InvalidArgument) as caught:
            await parts.embedder.embed(texts, QUERY)
    assert caught.value.violations[0].field == field
    assert not parts.queue.batches


async def test_a_text_of_too_many_tokens_is_refused_before_any_computing() -> None:
    async with embedding() as parts:
        with pytest.raises(errors.InputTooLong) as caught:
            await parts.embedder.embed(["short", "w " * MOST_TOKENS], DOCUMENT)
    [violation] = caught.value.violations
    assert violation.field == "texts[1]"
    assert f"{MOST_TOKENS + 1} tokens" in violation.description
    assert not parts.queue.batches


async def test_a_cut_that_is_asked_for_is_made_and_said() -> None:
    options = EmbedOptions(query=False, truncate=True)
    texts = ["w " * 20, "short", "w " * (MOST_TOKENS - 1)]
    async with embedding() as parts:
        done = await parts.embedder.embed(texts, options)
    assert [(e.tokens, e.truncated) for e in done.embeddings] == [
        (21, True),
        (2, False),
        (MOST_TOKENS, False),
    ]
    assert [len(ids) for ids in parts.queue.batches[0][1]] == [MOST_TOKENS, 2, MOST_TOKENS]
    assert done.fingerprint == "words-1"


async def test_a_cut_leaves_the_sparse_vector_whole() -> None:
    options = EmbedOptions(query=True, truncate=True)
    words = [f"w{n}" for n in range(20)]
    async with embedding() as parts:
        [one] = (await parts.embedder.embed([" ".join(words)], options)).embeddings
    assert one.sparse
    assert set(one.sparse.terms) == set(words)


async def test_sparse_alone_costs_no_inference() -> None:
    expected = EmbedOptions(query=False, dense=False)
    async with embedding() as parts:
        [one] = (await parts.embedder.embed(["w " * 400], expected)).embeddings
    assert not parts.queue.batches
    assert not parts.model.texts
    assert (one.dense, one.tokens, one.truncated) == (None, 0, False)
    assert one.sparse


async def test_long_and_short_texts_are_prepared_alike() -> None:
    async with embedding() as parts:
        [short] = (await parts.embedder.embed(["a b"], QUERY)).embeddings
        [again, _] = (await parts.embedder.embed(["a b", "x" * 900], QUERY)).embeddings
    assert again.sparse == short.sparse
    assert again.tokens == short.tokens


async def test_a_repeated_query_costs_no_model() -> None:
    async with embedding(cached=8) as parts:
        [first] = (await parts.embedder.embed(["휴가는 며칠"], QUERY)).embeddings
        apart = unicodedata.normalize("NFD", "휴가는 며칠")
        again = await parts.embedder.embed([apart], QUERY)
    assert again.embeddings == [first]
    assert again.fingerprint == "words-1"
    assert (len(parts.queue.batches), len(parts.model.texts)) == (1, 1)
    assert parts.lookups == [False, True]


@pytest.mark.parametrize(
    "other",
    [
        replace(QUERY, tenant="other"),
        replace(QUERY, dense=False),
        replace(QUERY, sparse=False),
        replace(QUERY, truncate=True),
        DOCUMENT,
    ],
)
async def test_only_the_same_query_of_the_same_tenant_is_known(other: EmbedOptions) -> None:
    async with embedding(cached=8) as parts:
        await parts.embedder.embed(["휴가"], QUERY)
        [fresh] = (await parts.embedder.embed(["휴가"], other)).embeddings
    async with embedding() as uncached:
        [expected] = (await uncached.embedder.embed(["휴가"], other)).embeddings
    assert fresh == expected
    assert True not in parts.lookups


@pytest.mark.parametrize(
    ("cached", "asked", "known"),
    [
        (2, ["a", "b", "a", "c", "a", "b"], [False, False, True, False, True, False]),
        (8, ["w" * 256, "w" * 256], [False, True]),
        (0, ["a", "a"], []),
    ],
    ids=["the least recently used is dropped", "long", "none"],
)
async def test_how_many_queries_are_kept(cached: int, asked: list[str], known: list[bool]) -> None:
    async with embedding(cached=cached) as parts:
        for text in asked:
            await parts.embedder.embed([text], QUERY)
    assert parts.lookups == known


async def test_a_query_that_failed_is_not_known() -> None:
    async with embedding(cached=8) as parts:
        for _ in range(2):
            with pytest.raises(errors.InputTooLong):
                await parts.embedder.embed(["w " * 20], QUERY)
    assert parts.lookups == [False, False]


def test_a_long_query_is_not_kept() -> None:
    cache = QueryCache[int](8)
    for text in ("w" * 256, "w" * 257):
        cache.put(QueryKey("", text, dense=True, sparse=True, truncate=True), 1)
    assert [
        cache.get(QueryKey("", text, dense=True, sparse=True, truncate=True))
        for text in ("w" * 256, "w" * 257)
    ] == [1, None]


async def test_until_the_model_is_there_every_call_says_so() -> None:
    def loading() -> Engine:
        raise errors.ModelLoading("the model is being loaded", retry_after=2.0)

    with ThreadPoolExecutor(1) as analysis:
        embedder = Embedder(loading, analysis, QueryCache(0), text_characters=1000)
        for calling in (
            embedder.embed(["a"], QUERY),
            embedder.rerank("a", ["b"]),
            embedder.tokenize("a", query=True),
        ):
            with pytest.raises(errors.ModelLoading):
                await calling
        with pytest.raises(errors.ModelLoading):
            embedder.engine()


async def test_the_health_check_passes_once_the_model_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with embedding() as parts:
        loading = asyncio.get_running_loop().create_future()
        checking = asyncio.ensure_future(model_check(loading)())
        await asyncio.sleep(0)
        loading.set_result(parts.embedder.engine())
        await checking
    monkeypatch.setattr(app, "_LOADING_SECONDS", 0.01)
    with pytest.raises(errors.ModelLoading):
        await model_check(asyncio.get_running_loop().create_future())()


async def test_without_a_cross_encoder_nothing_is_reranked() -> None:
    async with embedding() as parts:
        with pytest.raises(errors.NotConfigured):
            await parts.embedder.rerank("a", ["b"])


async def test_scores_are_in_the_order_of_the_texts() -> None:
    async with embedding(Lengths()) as parts:
        scores, name = await parts.embedder.rerank("a", ["bbb", "c", "dd"])
    assert (scores, name) == ([3.0, 1.0, 2.0], "lengths")


@pytest.mark.parametrize(("query", "texts", "field"), [(" ", ["a"], "query"), ("a", [], "texts")])
async def test_reranking_nothing_is_refused(query: str, texts: list[str], field: str) -> None:
    async with embedding(Lengths()) as parts:
        with pytest.raises(errors.InvalidArgument) as caught:
            await parts.embedder.rerank(query, texts)
    assert caught.value.violations[0].field == field


async def test_a_text_is_shown_as_tokens_and_terms() -> None:
    async with embedding() as parts:
        spelled, ids, terms = await parts.embedder.tokenize("a bb", query=True)
    assert (spelled, ids) == (["x" * 6, "x", "xx"], [6, 1, 2])
    assert set(terms) == {"a", "bb"}
