"""What may be quoted of a passage, and what it belongs to."""

from hypothesis import given, settings
from hypothesis import strategies as st

from rag_common.text.sentences import sentences
from rag_generator.evidence.roles import QUOTABLE, Role
from rag_generator.evidence.selection import answer
from rag_generator.evidence.sentences import Passage
from rag_generator.evidence.units import units
from tests.support.fuzz import examples

PIECES = st.sampled_from(
    [
        "Q. 언제 여나요?\n",
        "A. 아홉 시에 연다.\n",
        "질문: ",
        "답변: ",
        "연차는 15일이다. ",
        "문의처\n",
        "내선 3300\n",
        "- 신청서\n",
        "1. 사본\n",
        "다음 서류를 낸다.\n",
        "위치: 지하 1층\n",
        "이름: 가 · 값: 1\n",
        "| a | b |\n",
        "|---|---|\n",
        "## 제목\n",
        "\n",
        "\n\n",
        "?",
        "**굵게?**\n",
    ]
)
TEXTS = st.lists(PIECES, max_size=25).map("".join)


def roles(text: str) -> list[Role]:
    return [unit.role for unit in units(text)]


@settings(max_examples=examples(100))
@given(TEXTS)
def test_units_lie_in_their_sentences_and_refer_to_earlier_ones(text: str) -> None:
    result = units(text)
    spans = sentences(text)
    assert len(result) == len(spans)
    for at, (unit, span) in enumerate(zip(result, spans, strict=True)):
        assert span.start <= unit.start <= unit.end == span.end
        assert all(head < at and 0 < share <= 1 for head, share in unit.heads)
        assert unit.place == at
        if unit.group:
            assert unit.group.start <= unit.start
            assert unit.end <= unit.group.end


@settings(max_examples=examples(100))
@given(
    TEXTS, st.sampled_from(["언제 여나요?", "어떤 서류를 내나요?", "R-1의 위치는?", "where is it"])
)
def test_quotes_are_slices_and_never_a_question_or_a_heading(text: str, question: str) -> None:
    result = answer(question, [Passage("a", text, "", 0.5)])
    kinds = {unit.start: unit.role for unit in units(text)}
    for quote in result.quotes:
        assert text[quote.start : quote.end] == quote.text
        assert kinds[quote.start] in QUOTABLE
    assert len({quote.start for quote in result.quotes}) == len(result.quotes) <= 2


def test_a_question_without_its_mark_is_one() -> None:
    assert roles("주말에도 여나요\n예, 엽니다.")[0] is Role.QUESTION
    assert roles("회의실을 쓸 수 있습니까\n있습니다.")[0] is Role.QUESTION


def test_a_short_line_is_a_label_above_something_and_a_value_below_it() -> None:
    assert roles("문의처\n내선 3300") == [Role.LABEL, Role.TEXT]
    assert roles("내선 3300") == [Role.TEXT]
