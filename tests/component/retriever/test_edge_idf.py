"""The IDF of a large corpus: that of a sample of its passages, and never of another tenant's."""

import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import qdrant_edge as edge

from rag_retriever.engines import idf as engines_idf
from rag_retriever.engines.edge import EdgeCatalog, corpus_idf, engine, layout
from rag_retriever.engines.payload import SAMPLE
from rag_retriever.index.filters import Scope
from rag_retriever.index.model import Document, Query, SparseVector
from rag_retriever.index.ports import Index
from tests.support.contracts.samples import TEAM, chunk, document, put
from tests.support.retriever.edge_writer import SPEC

PASSAGES = 600
# A quarter of a quarter of the passages.
LEVEL = 2
COMMON, SOME = 1, 2


@pytest.fixture(autouse=True)
def small_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_idf, "MIN_PASSAGES", 16)


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[Index]:
    async with EdgeCatalog(tmp_path) as catalog:
        await catalog.create(SPEC)
        yield await catalog.open("")


def having_some(ordinal: int) -> bool:
    return ordinal % 3 == 0


async def stored(index: Index, **named: str) -> Document:
    """A document of PASSAGES passages, of which a third have the term SOME."""
    return await put(
        index,
        document(passages=PASSAGES, **named),
        [
            chunk(n, terms={COMMON: 1.0, SOME: 1.0} if having_some(n) else {COMMON: 1.0})
            for n in range(PASSAGES)
        ],
    )


async def idf(index: Index, scope: Scope = TEAM, term: int = SOME) -> float:
    """The score of a passage whose only weight, of 1, is for the term."""
    lists = await index.candidates(scope, Query(None, SparseVector((term,), (1.0,))), 1)
    return lists.sparse[0].score


def expected(ordinals: range | list[int], having: int) -> float:
    return math.log((len(ordinals) - having + 0.5) / (having + 0.5) + 1)


def sampled(of: Document) -> list[int]:
    """The passages that are in the sample."""
    ids = {n: of.key.point_id(of.version, n) for n in range(of.passage_count)}
    fields = {n: corpus_idf.sample_fields(one, of.key) for n, one in ids.items()}
    return [n for n, one in fields.items() if f"{LEVEL}/chunk/4:team" in one.get(SAMPLE, [])]


async def test_a_large_corpus_has_the_idf_of_its_sample(index: Index) -> None:
    sample = sampled(await stored(index))
    assert 16 <= len(sample) <= 64
    having = sum(map(having_some, sample))
    assert await idf(index) == pytest.approx(expected(sample, having), rel=1e-4)
    wiki = Scope("team", ("wiki",))
    assert await idf(index, wiki) == pytest.approx(expected(sample, having), rel=1e-4)


async def test_a_small_corpus_has_the_idf_of_all_its_passages(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored(index)
    monkeypatch.setattr(corpus_idf, "MIN_PASSAGES", PASSAGES)
    assert await idf(index) == pytest.approx(expected(range(PASSAGES), PASSAGES // 3), rel=1e-4)


async def test_no_sample_has_what_is_staged_of_another_tenant_or_of_another_collection(
    index: Index,
) -> None:
    await stored(index)
    wiki = Scope("team", ("wiki",))
    before = await idf(index, wiki)
    await stored(index, tenant="rival")
    assert await idf(index, wiki) == before
    await stored(index, collection="blog")
    assert await idf(index, wiki) == before
    staged = document("draft", passages=PASSAGES)
    await index.stage(staged, [chunk(n, terms={SOME: 1.0}) for n in range(PASSAGES)])
    assert await idf(index, wiki) == before


async def test_scores_do_not_depend_on_how_much_others_have_stored(index: Index) -> None:
    await stored(index)
    both = Scope("team", ("wiki", "blog"))
    await stored(index, collection="blog")
    alone = [await idf(index, scope) for scope in (TEAM, Scope("team", ("wiki",)), both)]
    for number in range(4):
        await stored(index, tenant=f"rival-{number}")
    beside = [await idf(index, scope) for scope in (TEAM, Scope("team", ("wiki",)), both)]
    assert beside == alone


async def test_a_sample_is_used_though_most_of_the_index_is_of_others(index: Index) -> None:
    for number in range(4):
        await stored(index, tenant=f"rival-{number}")
    sample = sampled(await stored(index))
    having = sum(map(having_some, sample))
    assert await idf(index) == pytest.approx(expected(sample, having), rel=1e-4)


async def test_the_idf_of_a_large_corpus_is_read_again_after_a_while(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines_idf, "MIN_PASSAGES", 16)
    await stored(index)
    before = await idf(index)
    more = document("more", passages=PASSAGES)
    await put(index, more, [chunk(n, terms={SOME: 1.0}) for n in range(PASSAGES)])
    assert await idf(index) == pytest.approx(before)
    monkeypatch.setattr(engines_idf, "FRESH_SECONDS", -1.0)
    assert await idf(index) < before / 1.5


async def test_each_tenant_and_each_collection_has_an_idf_of_its_own(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines_idf, "MIN_PASSAGES", 16)
    await stored(index)
    for tenant, collection in (("team", "blog"), ("rival", "wiki")):
        other = document(tenant=tenant, collection=collection, passages=PASSAGES)
        await put(index, other, [chunk(n, terms={SOME: 1.0}) for n in range(PASSAGES)])
    scopes = [Scope("team", ("wiki",)), Scope("team", ("blog",)), TEAM, Scope("rival")]
    wiki, blog, both, rival = [await idf(index, scope) for scope in scopes]
    assert wiki > both > blog
    assert rival < both


async def test_many_unknown_terms_have_the_idf_of_the_sample_too(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines_idf, "MIN_PASSAGES", 16)
    many = dict.fromkeys(range(1, 6), 1.0)
    of = document(passages=PASSAGES)
    some = [many if having_some(n) else {1: 1.0, 2 + n % 4: 1.0} for n in range(PASSAGES)]
    await put(index, of, [chunk(n, terms=terms) for n, terms in enumerate(some)])
    query = Query(None, SparseVector(tuple(many), tuple(many.values())))
    unknown, partly, *_, known = [
        (await index.candidates(TEAM, query, 5)).sparse[0].score for _ in range(6)
    ]
    assert unknown == pytest.approx(known, rel=1e-4)
    assert partly == pytest.approx(known, rel=1e-4)


async def test_a_term_that_no_sampled_passage_has_is_found(index: Index) -> None:
    await stored(index)
    await put(index, document("rare"), [chunk(0, terms={7: 1.0})])
    assert await idf(index, term=7) > await idf(index)


@pytest.mark.parametrize("lacks", ["the index of samples", "passages in samples"])
async def test_an_index_of_an_earlier_release_has_the_idf_of_all_its_passages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacks: str
) -> None:
    if lacks == "passages in samples":
        monkeypatch.setattr(corpus_idf, "_MAX_LEVEL", 0)
    async with EdgeCatalog(tmp_path) as catalog:
        await catalog.create(SPEC)
        await stored(await catalog.open(""))
    monkeypatch.undo()
    monkeypatch.setattr(corpus_idf, "MIN_PASSAGES", 16)
    if lacks == "the index of samples":
        directory = tmp_path / "main"
        shard = engine.load(directory / layout.load(directory).shard)
        shard.update(edge.UpdateOperation.delete_field_index(SAMPLE))
        shard.close()
    async with EdgeCatalog(tmp_path) as catalog:
        found = await idf(await catalog.open(""))
    assert found == pytest.approx(expected(range(PASSAGES), PASSAGES // 3), rel=1e-4)


@pytest.mark.parametrize(
    ("passages", "level"),
    [(0, 0), (63, 0), (64, 1), (255, 1), (256, 2), (16 * 4**12, 12), (10**12, 12)],
)
def test_a_sample_has_at_least_the_smallest_number_and_under_four_times_as_many(
    passages: int, level: int
) -> None:
    assert corpus_idf.sample_level(passages) == level
