"""Markers in a model's words, and the citations they make."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_generator.answering.citations import MarkerFilter, citations, without_markers
from rag_generator.evidence.sentences import Passage

LEAVE = Passage(id="leave", text="연차는 15일이다. 병가는 30일까지 쓸 수 있다.", title="휴가")
WORK = Passage(
    id="work", text="재택근무는 주 2회까지 할 수 있다. 점심시간은 한 시간이다.", title="근무"
)
BOTH = (LEAVE, WORK)


def shown(*pieces: str, count: int = 2) -> str:
    markers = MarkerFilter(count)
    return "".join(markers.feed(piece) for piece in pieces)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("15일입니다 [1].", "15일입니다 [1]."),
        ("15일입니다 [3].", "15일입니다."),
        ("15일입니다 [0].", "15일입니다."),
        ("15일입니다.[2][7][1]", "15일입니다.[2][1]"),
        ("배열 [가]와 [1234]는 그대로", "배열 [가]와 [1234]는 그대로"),
    ],
)
def test_only_numbers_of_passages_stay(written: str, kept: str) -> None:
    assert shown(written) == kept


@pytest.mark.parametrize("end", [" ", "\n", " [", " [1", "[12"])
def test_half_a_marker_and_space_at_the_end_go(end: str) -> None:
    assert shown("15일입니다.", end) == "15일입니다."


@given(
    st.lists(st.sampled_from(["[1]", "[2]", "[9]", " ", "연차", "[", "]", "[x", "15일."])),
    st.integers(1, 5),
)
def test_how_the_words_are_split_makes_no_difference(parts: list[str], size: int) -> None:
    text = "".join(parts)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert shown(*pieces) == shown(text)
    assert "[9]" not in shown(*pieces)


def test_blanking_markers_keeps_every_offset() -> None:
    text = "연차는 15일[1]입니다. [2] 끝"
    blank = without_markers(text)
    assert len(blank) == len(text)
    assert "[" not in blank
    assert blank.index("끝") == text.index("끝")


def test_a_citation_rests_on_the_sentence_that_says_so() -> None:
    text = "병가는 30일까지 쓸 수 있습니다 [1]. 재택근무는 주 2회입니다. [2]"
    first, second = citations(text, BOTH)
    assert (first.number, first.passage_id, first.quote) == (
        1,
        "leave",
        "병가는 30일까지 쓸 수 있다.",
    )
    assert second.passage_id == "work"
    assert second.quote == "재택근무는 주 2회까지 할 수 있다."
    for citation, passage in ((first, LEAVE), (second, WORK)):
        assert passage.text[citation.quote_start : citation.quote_end] == citation.quote
    assert text[first.start : first.end].startswith("병가는")
    assert text[second.start : second.end].startswith("재택근무는")


def test_a_number_behind_the_stop_belongs_to_the_sentence_before() -> None:
    text = "연차는 15일입니다.[1] 재택근무는 주 2회입니다.[2]"
    assert [(one.number, text[one.start : one.end][:2]) for one in citations(text, BOTH)] == [
        (1, "연차"),
        (2, "재택"),
    ]


def test_two_numbers_are_two_citations_and_one_twice_is_one() -> None:
    text = "연차와 재택근무가 있습니다 [1][2][1]."
    assert [citation.number for citation in citations(text, BOTH)] == [1, 2]
    assert list(citations("연차는 15일입니다.", BOTH)) == []
