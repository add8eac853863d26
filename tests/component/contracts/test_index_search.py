"""The contract of an index: what a query finds, its scores and its order."""

import math

import numpy as np
import pytest

from rag_retriever.index.model import Query, SparseVector
from rag_retriever.index.ports import Index
from tests.support.contracts.samples import TEAM, chunk, document, put, vector


def _idf(total: int, having: int) -> float:
    """Robertson and Zaragoza 2009, with Lucene's 1 inside the logarithm."""
    return math.log((total - having + 0.5) / (having + 0.5) + 1)


async def test_the_dense_list_is_the_nearest_by_cosine(index: Index) -> None:
    stored = await put(index, document(passages=50))
    query = vector(77)
    lists = await index.candidates(TEAM, Query(query, None), 10)
    vectors = np.array([np.frombuffer(chunk(n).dense, "<f4") for n in range(50)])
    cosines = vectors @ np.frombuffer(query, "<f4")
    best = np.argsort(-cosines)[:10]
    assert [hit.passage_id for hit in lists.dense] == [stored.key.point_id("v1", n) for n in best]
    assert [hit.score for hit in lists.dense] == pytest.approx(cosines[best].tolist(), abs=1e-5)
    assert lists.sparse == ()


async def test_the_length_of_a_query_vector_does_not_matter(index: Index) -> None:
    await put(index, document(passages=5))
    longer = (np.frombuffer(vector(7), "<f4") * 3).tobytes()
    short = await index.candidates(TEAM, Query(vector(7), None), 5)
    long = await index.candidates(TEAM, Query(longer, None), 5)
    assert [hit.score for hit in long.dense] == pytest.approx([hit.score for hit in short.dense])


async def test_the_sparse_list_is_scored_by_bm25_with_idf(index: Index) -> None:
    rare_and_common = [chunk(0, terms={5: 0.7, 9: 1.2}), chunk(1, terms={5: 0.4})]
    others = [chunk(n, terms={5: 0.1}) for n in range(2, 6)] + [chunk(6, terms={8: 1.0})]
    stored = await put(index, document(passages=7), [*rare_and_common, *others])
    lists = await index.candidates(TEAM, Query(None, SparseVector((5, 9), (1.0, 1.0))), 2)
    expected = [0.7 * _idf(7, 6) + 1.2 * _idf(7, 1), 0.4 * _idf(7, 6)]
    assert [hit.passage_id for hit in lists.sparse] == [
        stored.key.point_id("v1", n) for n in (0, 1)
    ]
    assert [hit.score for hit in lists.sparse] == pytest.approx(expected, rel=1e-4)
    assert lists.dense == ()


async def test_scores_do_not_depend_on_other_tenants_or_what_is_staged(index: Index) -> None:
    await put(index, document(passages=2), [chunk(0, terms={5: 1.0}), chunk(1, terms={6: 1.0})])
    await put(index, document("secret", tenant="other"), [chunk(0, terms={5: 1.0})])
    await index.stage(document("draft"), [chunk(0, terms={5: 1.0})])
    lists = await index.candidates(TEAM, Query(None, SparseVector((5,), (1.0,))), 10)
    assert [hit.score for hit in lists.sparse] == pytest.approx([_idf(2, 1)], rel=1e-4)


async def test_equal_scores_are_ordered_by_id(index: Index) -> None:
    for name in "abcdefgh":
        await put(index, document(name), [chunk(0, terms={3: 1.0})])
    lists = await index.candidates(TEAM, Query(vector(1), SparseVector((3,), (1.0,))), 20)
    for hits in (lists.dense, lists.sparse):
        assert len(hits) == 8
        assert [hit.passage_id for hit in hits] == sorted(hit.passage_id for hit in hits)


async def test_each_list_is_as_long_as_asked_for(index: Index) -> None:
    await put(index, document(passages=30))
    lists = await index.candidates(TEAM, Query(vector(1), SparseVector((1,), (1.0,))), 7)
    assert (len(lists.dense), len(lists.sparse)) == (7, 7)
    assert lists.dense_seconds >= 0
    assert lists.sparse_seconds >= 0


async def test_an_empty_index_and_terms_that_nobody_has_find_nothing(index: Index) -> None:
    lists = await index.candidates(TEAM, Query(vector(0), SparseVector((1,), (1.0,))), 10)
    assert (lists.dense, lists.sparse) == ((), ())
    await put(index, document())
    unknown = await index.candidates(TEAM, Query(None, SparseVector((404,), (1.0,))), 10)
    empty = await index.candidates(TEAM, Query(None, SparseVector((), ())), 10)
    assert unknown.sparse == empty.sparse == ()


async def test_collections_exist_by_the_tenants_published_documents(index: Index) -> None:
    await put(index, document("a", collection="wiki", passages=3))
    await put(index, document("b", collection="비품", passages=1))
    await put(index, document("c", collection="secret", tenant="other"))
    await index.stage(document("d", collection="draft"), [chunk(0)])
    removed = await put(index, document("e", collection="removed"))
    await index.delete(removed.key)
    requested = ["nowhere", "wiki", "secret", "비품", "draft", "removed", "wik", "wiki2"]
    assert await index.existing_collections("team", requested) == {"wiki", "비품"}
    assert await index.existing_collections("other", requested) == {"secret"}
    assert await index.existing_collections("nobody", requested) == set()
    assert await index.existing_collections("team", []) == set()
