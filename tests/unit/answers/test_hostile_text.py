"""Passages and questions of repeated marks and words cost linear time."""

import time
from collections.abc import Callable

import pytest

from rag_common.text.sentences import Span
from rag_generator.answering.extractive_answering import readable
from rag_generator.evidence.expectation import expectation
from rag_generator.evidence.roles import gaps, roles
from rag_generator.evidence.units import units

_SIZE = 20_000
# Linear code takes well below a second for these; what is quadratic or worse takes minutes.
_SECONDS = 5


def _time(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


@pytest.mark.parametrize("end", ["x", " x", "\nx", ""])
@pytest.mark.parametrize("start", ["Q", "A", "답", "질문1", "a: b"])
@pytest.mark.parametrize("unit", ["*", "_", "* ", ")", " · c: d", "|"])
def test_one_long_sentence_of_any_marks_is_given_its_role_in_linear_time(
    unit: str, start: str, end: str
) -> None:
    text = start + unit * (5 * _SIZE // len(unit)) + end
    spans = [Span(0, len(text))]
    assert _time(lambda: roles(text, spans, gaps(text, spans))) < _SECONDS


@pytest.mark.parametrize(
    "unit",
    [
        *("**Q** ", "A.** ", "| - ", "a: b · ", "한시", "1. ", "“", '"a ', "(", ". "),
        *("Q. 왜?\n", "- 항목\n", "가: 나\n", "| a | b |\n", "짧은 줄\n", "끝. "),
    ],
)
def test_a_passage_of_one_repeated_piece_is_cut_in_linear_time(unit: str) -> None:
    assert _time(lambda: units(unit * (_SIZE // len(unit)))) < _SECONDS


@pytest.mark.parametrize("unit", ["-", "|", "-|", " ", ":-"])
def test_what_is_nearly_the_rule_of_a_table_is_read_in_linear_time(unit: str) -> None:
    above = "|" + unit * (5 * _SIZE // len(unit)) + "x\n"
    assert _time(lambda: readable("| a |", above + "| a |", len(above))) < _SECONDS


@pytest.mark.parametrize(
    "unit", ["how much is ", "what is ", "what ", "몇층", "몇 개", "한시", "얼마"]
)
def test_a_question_of_repeated_words_is_read_in_linear_time(unit: str) -> None:
    question = unit * (_SIZE // len(unit))
    assert _time(lambda: expectation(question).met("한시" * _SIZE)) < _SECONDS
