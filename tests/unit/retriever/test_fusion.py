"""What fused scores mean, and when each list has its way."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_retriever.search.fusion import Fused, Method, fuse, single


class Named(NamedTuple):
    """A candidate whose key is a name."""

    key: str
    score: float


_DENSE = (Named("a", 0.90), Named("b", 0.84), Named("c", 0.80))
_SPARSE = (Named("c", 9.0), Named("d", 4.0))
_FLAT = tuple(Named(f"n{place}", 0.8 - place / 10_000) for place in range(50))


def _ids(fused: list[Fused]) -> list[str]:
    return [item.key for item in fused]


def _lists(top: float) -> st.SearchStrategy[tuple[Named, ...]]:
    scores = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, top), max_size=8)
    return scores.map(
        lambda found: tuple(
            Named(id, score) for id, score in sorted(found.items(), key=lambda pair: -pair[1])
        )
    )


@pytest.mark.parametrize("method", Method)
@given(dense=_lists(1.0), sparse=_lists(60.0), coverage=st.floats(0, 1), terms=st.integers(1, 40))
def test_each_candidate_comes_once_by_falling_score_between_0_and_1(
    method: Method, dense: tuple[Named, ...], sparse: tuple[Named, ...], coverage: float, terms: int
) -> None:
    fused = fuse(dense, sparse, method, query_terms=terms, coverage=coverage)
    assert sorted(_ids(fused)) == sorted({hit.key for hit in (*dense, *sparse)})
    scores = [item.score for item in fused]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


@given(dense=_lists(1.0), sparse=_lists(60.0), coverage=st.floats(0, 1))
def test_the_posterior_of_all_candidates_is_one(
    dense: tuple[Named, ...], sparse: tuple[Named, ...], coverage: float
) -> None:
    fused = fuse(dense, sparse, coverage=coverage)
    assert sum(item.score for item in fused) == pytest.approx(1 if dense or sparse else 0)


@pytest.mark.parametrize("method", Method)
def test_places_are_those_in_the_lists(method: Method) -> None:
    fused = {item.key: item for item in fuse(_DENSE, _SPARSE, method)}
    c, d = fused["c"], fused["d"]
    assert (c.dense_rank, c.dense_score, c.sparse_rank, c.sparse_score) == (3, 0.80, 1, 9.0)
    assert (d.dense_rank, d.dense_score, d.sparse_rank, d.sparse_score) == (None, None, 2, 4.0)


def test_the_list_that_is_sure_decides() -> None:
    sure_sparse = (Named("x", 30.0), Named("n0", 10.0))
    assert _ids(fuse(_FLAT, sure_sparse))[0] == "x"
    sure_dense = (Named("y", 0.95), *_FLAT)
    unsure_sparse = tuple(Named(f"m{place}", 8 - place / 100) for place in range(50))
    assert _ids(fuse(sure_dense, unsure_sparse))[0] == "y"


def test_a_chance_word_does_not_outvote_the_dense_list() -> None:
    fused = fuse(_DENSE, (Named("x", 7.0),), query_terms=4, coverage=0.25)
    assert _ids(fused)[0] == "a"


def test_a_rare_word_that_is_the_whole_question_wins() -> None:
    fused = fuse(_FLAT, (Named("x", 7.0),), query_terms=1, coverage=1.0)
    assert _ids(fused)[0] == "x"


def test_without_coverage_the_dense_list_decides_alone() -> None:
    with_chance = fuse(_DENSE, _SPARSE, coverage=0.0)
    assert _ids(with_chance)[:3] == ["a", "b", "c"]
    assert [item.score for item in with_chance[:3]] == pytest.approx(
        [item.score for item in fuse(_DENSE, ())]
    )


def test_both_lists_agreeing_beat_either() -> None:
    together = fuse(_DENSE, (Named("b", 5.0), Named("z", 5.0)))
    scores = {item.key: item.score for item in together}
    assert scores["b"] > scores["z"]


def test_an_estimated_temperature_does_not_depend_on_the_models_scale() -> None:
    wide = tuple(Named(hit.key, 7 * hit.score - 5) for hit in _DENSE)
    narrow_scores = [item.score for item in fuse(_DENSE, ())]
    wide_scores = [item.score for item in fuse(wide, ())]
    assert narrow_scores == pytest.approx(wide_scores)


def test_equal_scores_share_the_posterior() -> None:
    fused = fuse((Named("a", 0.5), Named("b", 0.5)), ())
    assert [item.score for item in fused] == [0.5, 0.5]


def test_one_list_alone_keeps_its_order() -> None:
    assert _ids(single(dense=_DENSE)) == ["a", "b", "c"]
    assert _ids(single(sparse=_SPARSE)) == ["c", "d"]


def test_rrf_is_the_mean_of_reciprocal_ranks_over_the_first() -> None:
    scores = {item.key: item.score for item in fuse(_DENSE, _SPARSE, Method.RRF)}
    assert scores["c"] == pytest.approx((61 / 63 + 61 / 61) / 2)
    assert scores["a"] == pytest.approx(61 / 61 / 2)


def test_dbsf_puts_the_mean_of_a_list_at_one_half() -> None:
    scores = {
        item.key: item.score
        for item in fuse((Named("a", 3), Named("b", 2), Named("c", 1)), (), Method.DBSF)
    }
    assert scores["b"] == pytest.approx(0.5 / 2)
    assert scores["a"] == pytest.approx((0.5 + 1 / 6) / 2)


def test_dbsf_puts_equal_scores_at_one_half() -> None:
    fused = fuse((Named("a", 3), Named("b", 3)), (Named("a", 1),), Method.DBSF)
    assert {item.key: item.score for item in fused} == {"a": 0.5, "b": 0.25}
