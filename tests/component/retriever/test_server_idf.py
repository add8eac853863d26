"""BM25 on a Qdrant server with IDF from the cache: exact, and of one tenant alone."""

import math
from dataclasses import dataclass

import pytest
from qdrant_client import AsyncQdrantClient

from rag_retriever.engines import idf
from rag_retriever.engines.server import Nodes, ServerCatalog, ServerOptions
from rag_retriever.engines.server.points import Points
from rag_retriever.index.filters import Condition, Filter, OneOf, Scope
from rag_retriever.index.model import Query, SparseVector
from rag_retriever.index.ports import Index
from tests.support.contracts.samples import TEAM, chunk, document, put, vector

QUERY = Query(vector(0), SparseVector((5, 9, 404), (1.0, 2.0, 1.0)))


def _idf(total: int, having: int) -> float:
    return math.log((total - having + 0.5) / (having + 0.5) + 1)


# The scores of QUERY for the two best passages of `_fill`.
EXPECTED = [0.7 * _idf(7, 6) + 2 * 1.2 * _idf(7, 1), 0.4 * _idf(7, 6)]


@dataclass
class Counted:
    """The single-term queries from which IDF is learnt."""

    samples: int = 0


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """Every corpus is large enough to be kept."""
    monkeypatch.setattr(idf, "MIN_PASSAGES", 1)
    counted, query = Counted(), Points.query

    async def count(points: Points, requests: list) -> list:  # type: ignore[type-arg]
        counted.samples += sum(one.limit == 1 and one.using != "" for one in requests)
        return await query(points, requests)  # type: ignore[return-value]

    monkeypatch.setattr(Points, "query", count)
    return counted


async def _fill(index: Index) -> None:
    chunks = [
        chunk(0, terms={5: 0.7, 9: 1.2}),
        chunk(1, terms={5: 0.4}),
        *(chunk(n, terms={5: 0.1}) for n in range(2, 6)),
        chunk(6, terms={8: 1.0}),
    ]
    await put(index, document(passages=7, metadata={"lang": "ko"}), chunks)


async def _scores(index: Index, scope: Scope = TEAM) -> list[float]:
    return [hit.score for hit in (await index.candidates(scope, QUERY, 2)).sparse]


async def test_scores_from_cached_idf_are_those_that_the_server_computes(
    server_catalog: ServerCatalog, counted: Counted
) -> None:
    index = await server_catalog.open("")
    await _fill(index)
    for _ in range(3):
        assert await _scores(index) == pytest.approx(EXPECTED, rel=1e-5)
    korean = Scope("team", filter=Filter(must=(Condition("lang", OneOf(("ko",))),)))
    assert await _scores(index, korean) == pytest.approx(EXPECTED, rel=1e-5)
    assert counted.samples == 3


async def test_cached_idf_does_not_depend_on_other_tenants(
    server_catalog: ServerCatalog, counted: Counted
) -> None:
    index = await server_catalog.open("")
    rival = document("secret", tenant="rival", passages=3)
    await put(index, rival, [chunk(n, terms={5: 1.0, 9: 1.0, 404: 1.0}) for n in range(3)])
    await _fill(index)
    others = pytest.approx([_idf(3, 3) * 4] * 2, rel=1e-5)
    for _ in range(2):
        assert await _scores(index) == pytest.approx(EXPECTED, rel=1e-5)
        assert await _scores(index, Scope("rival")) == others


async def test_the_terms_of_the_best_passage_come_with_the_candidates(
    server_catalog: ServerCatalog, counted: Counted
) -> None:
    index = await server_catalog.open("")
    await _fill(index)
    for _ in range(2):
        assert (await index.candidates(TEAM, QUERY, 2)).best_terms == {5, 9}
    for alone in (Query(QUERY.dense, None), Query(None, QUERY.sparse)):
        assert (await index.candidates(TEAM, alone, 2)).best_terms == frozenset()


async def test_old_idf_is_not_used_after_another_process_has_written(
    server_catalog: ServerCatalog,
    options: ServerOptions,
    counted: Counted,
    client: AsyncQdrantClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(idf, "FRESH_SECONDS", -1.0)
    index = await server_catalog.open("")
    await _fill(index)
    before = await _scores(index)
    assert await _scores(index) == pytest.approx(before, rel=1e-6)
    assert counted.samples == 3
    other = await ServerCatalog(Nodes([client], 5), options).open("")
    await put(other, document("more", passages=3), [chunk(n, terms={9: 0.1}) for n in range(3)])
    expected = [0.7 * _idf(10, 6) + 2 * 1.2 * _idf(10, 4), 0.4 * _idf(10, 6)]
    assert await _scores(index) == pytest.approx(expected, rel=1e-5)


async def test_a_scope_of_many_terms_is_scored_by_the_server(
    server_catalog: ServerCatalog, counted: Counted
) -> None:
    index = await server_catalog.open("")
    await _fill(index)
    terms = tuple(range(1000))
    query = Query(None, SparseVector(terms, (1.0,) * len(terms)))
    hits = (await index.candidates(TEAM, query, 10)).sparse
    assert hits[0].score == pytest.approx(0.7 * _idf(7, 6) + 1.2 * _idf(7, 1), rel=1e-5)
    assert counted.samples == 0
