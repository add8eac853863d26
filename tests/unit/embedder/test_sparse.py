"""BM25 weights and the shape of sparse vectors, over a fake analyser."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_embedder.embedding.sparse import Bm25, SparseVector, term_index

_UINT32 = 2**32


class _Spaces:
    def terms(self, text: str) -> list[str]:
        return text.split()


def _weights(vector: SparseVector) -> dict[str, float]:
    return dict(zip(vector.terms, vector.values, strict=True))


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_text_without_terms_gives_an_empty_vector(text: str) -> None:
    bm25 = Bm25(_Spaces())
    assert bm25.document(text) == bm25.query(text) == SparseVector()


def test_a_passage_of_average_length_weighs_a_single_term_one() -> None:
    assert _weights(Bm25(_Spaces(), avg_len=2).document("a b")) == {"a": 1.0, "b": 1.0}


def test_passage_weights_are_those_of_okapi_bm25() -> None:
    weights = _weights(Bm25(_Spaces(), k1=1.5, b=0.5, avg_len=2).document("a a a b"))
    norm = 1.5 * (1 - 0.5 + 0.5 * 4 / 2)
    assert weights["a"] == pytest.approx(3 * 2.5 / (3 + norm))
    assert weights["b"] == pytest.approx(1 * 2.5 / (1 + norm))


def test_a_question_weighs_each_distinct_term_one() -> None:
    assert _weights(Bm25(_Spaces()).query("a b a a")) == {"a": 1.0, "b": 1.0}


def test_terms_that_share_an_index_are_summed() -> None:
    assert term_index("plumless") == term_index("buckeroo")
    vector = Bm25(_Spaces()).query("plumless buckeroo")
    assert vector == SparseVector((term_index("plumless"),), (2.0,), ("buckeroo plumless",))


def test_indices_never_change() -> None:
    assert term_index("대한민국") == 296602955
    assert term_index("") == 0


@given(st.text(alphabet="ab가나 ", max_size=60))
def test_vectors_are_sorted_unique_uint32_aligned_and_positive(text: str) -> None:
    bm25 = Bm25(_Spaces())
    for vector in (bm25.document(text), bm25.query(text)):
        assert list(vector.indices) == sorted(set(vector.indices))
        assert all(0 <= index < _UINT32 for index in vector.indices)
        assert len(vector.indices) == len(vector.values) == len(vector.terms)
        assert all(math.isfinite(value) and value > 0 for value in vector.values)


@pytest.mark.parametrize("parameters", [{"k1": -0.1}, {"b": 1.1}, {"b": -0.1}, {"avg_len": 0.0}])
def test_parameters_without_meaning_are_refused(parameters: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="k1 must be"):
        Bm25(_Spaces(), **parameters)
