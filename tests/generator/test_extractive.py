"""Extractive answers."""

import pytest

from rag_generator.evidence import Passage
from rag_generator.extractive import MIN_SCORE, Extract, answer

HANDBOOK = (
    ("휴가 규정", "연차 휴가는 입사 1년이 지나면 15일을 준다. 연차는 3일 전에 팀장에게 신청한다."),
    ("휴가 규정", "병가는 한 해에 30일까지 쓸 수 있다. 3일이 넘으면 진단서를 낸다."),
    ("재택근무", "재택근무는 주 2회까지 할 수 있다. 근무 시간은 오전 10시부터 오후 7시까지이다."),
    ("출장비", "출장비는 다녀온 뒤 10일 안에 정산한다. 숙박비는 하루 12만 원까지 준다."),
    ("Travel", "Book flights with the travel desk. Business class is allowed above ten hours."),
    ("Security", "Passwords expire after 90 days. Laptops are encrypted. Report losses at once."),
)


def passages(first: str, belief: float = 0.6) -> list[Passage]:
    """The handbook with the passage that holds `first` on top, as a retriever would send it."""
    ranked = sorted(HANDBOOK, key=lambda page: first not in page[1])
    rest = (1 - belief) / (len(ranked) - 1)
    return [
        Passage(str(rank), text, title, belief if rank == 0 else rest)
        for rank, (title, text) in enumerate(ranked)
    ]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("연차는 며칠인가요?", "15일"),
        ("연차를 신청하려면 누구에게 해야 하나요?", "팀장에게"),
        ("병가는 얼마나 쓸 수 있어?", "30일"),
        ("재택근무는 일주일에 몇 번까지 가능해?", "주 2회"),
        ("출장비 정산은 언제까지 해야 합니까?", "10일 안에"),
        ("When do passwords expire?", "90 days"),
        ("is business class allowed", "ten hours"),
    ],
)
def test_the_answer_is_quoted_first(question: str, expected: str) -> None:
    found = answer(question, passages(expected))
    assert expected in found.quotes[0].text
    assert found.answered


@pytest.mark.parametrize(
    "question",
    [
        "육아휴직은 몇 개월인가요?",
        "점심 식대는 얼마입니까?",
        "사내 어린이집 신청은 어디서 하나요?",
        "주차장 이용 요금은?",
        "What is the parental leave policy?",
        "Who is the chief financial officer?",
    ],
)
def test_what_the_documents_do_not_say_is_declined(question: str) -> None:
    assert not answer(question, passages("15일", belief=0.25)).answered


def test_quotes_are_exact_spans_of_their_passages() -> None:
    given = {passage.id: passage for passage in passages("15일")}
    found = answer("연차 휴가는 며칠을 주고 며칠 전에 팀장에게 신청하나요?", list(given.values()))
    assert len(found.quotes) == 2
    for quote in found.quotes:
        assert given[quote.passage_id].text[quote.start : quote.end] == quote.text


def test_a_sentence_is_not_quoted_twice() -> None:
    twin = [Passage("a", "연차는 15일이다."), Passage("b", "연차는 15일이다. 병가는 30일이다.")]
    texts = [quote.text for quote in answer("연차와 병가는 며칠인가요?", twin).quotes]
    assert texts.count("연차는 15일이다.") == 1


def test_a_second_quote_that_has_little_to_say_is_left_out() -> None:
    given = [Passage("a", "연차 휴가는 15일이다. 회의실은 3층에 있다.", "휴가", 0.9)]
    texts = [quote.text for quote in answer("연차 휴가는 며칠인가요?", given).quotes]
    assert texts == ["연차 휴가는 15일이다."]


def test_a_heading_is_not_quoted() -> None:
    given = [Passage("a", "## 연차 휴가\n연차 휴가는 15일이다.\n\n4. 연차\n", "휴가", 0.9)]
    texts = [quote.text for quote in answer("연차 휴가는 며칠인가요?", given).quotes]
    assert texts == ["연차 휴가는 15일이다."]


def test_the_threshold_is_the_callers() -> None:
    given = passages("15일")
    confidence = answer("연차는 며칠인가요?", given).confidence
    assert MIN_SCORE < confidence < 1
    assert answer("연차는 며칠인가요?", given, min_score=confidence).answered
    assert not answer("연차는 며칠인가요?", given, min_score=1.0).answered


@pytest.mark.parametrize("belief", [0.0, 0.2, 0.5])
def test_more_belief_in_the_passage_is_more_confidence(belief: float) -> None:
    less = answer("연차는 며칠인가요?", [Passage("a", "연차는 15일이다.", score=belief)])
    more = answer("연차는 며칠인가요?", [Passage("a", "연차는 15일이다.", score=belief + 0.2)])
    assert less.confidence < more.confidence


def test_belief_may_be_unknown() -> None:
    given = [Passage("a", "연차는 15일이다. 병가는 30일이다.")]
    assert answer("연차는 며칠인가요?", given).answered
    assert not answer("구내식당은 언제 여나요?", given).answered


def test_nothing_asked_or_nothing_given_is_no_answer() -> None:
    nothing = Extract((), 0.0, False)
    assert answer("", passages("15일")) == nothing
    assert answer("무엇인가요?", passages("15일")) == nothing
    assert answer("연차는 며칠인가요?", []) == nothing
    assert answer("연차는 며칠인가요?", [Passage("a", " \n")]) == nothing


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("공장이 지어진 곳은?", "공장은 울산에 지었다."),
        ("사전 구속 영장", "법원이 사전구속영장을 발부하였다."),
        ("Which cities were visited?", "She visits the city of Busan."),
        ("참가비가 1,000원인 행사", "참가비 1000원을 낸다."),
    ],
)
def test_words_are_met_in_other_forms(question: str, sentence: str) -> None:
    given = [Passage("a", f"다른 이야기를 한다. {sentence} 날씨가 맑다.")]
    assert answer(question, given).quotes[0].text == sentence


def test_a_question_for_a_number_prefers_a_sentence_that_holds_one() -> None:
    given = [Passage("a", "회원은 매년 회비를 걱정한다. 회원은 매년 회비 5만 원을 낸다.")]
    assert "5만 원" in answer("회원은 매년 회비를 얼마 내나요?", given).quotes[0].text
