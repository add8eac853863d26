"""Extractive answers."""

import pytest

from rag_generator.evidence.expectation import expectation
from rag_generator.evidence.selection import MIN_SCORE, Extract, answer
from rag_generator.evidence.sentences import Passage

LEAVE = [Passage("a", "연차 휴가는 입사 1년이 지나면 15일을 준다.", "휴가 규정", 0.6)]


def test_a_sentence_is_not_quoted_twice() -> None:
    twin = [Passage("a", "연차는 15일이다."), Passage("b", "연차는 15일이다. 병가는 30일이다.")]
    texts = [quote.text for quote in answer("연차와 병가는 며칠인가요?", twin).quotes]
    assert texts.count("연차는 15일이다.") == 1


def test_a_second_quote_that_has_little_to_say_is_left_out() -> None:
    inputs = [Passage("a", "연차 휴가는 15일이다. 회의실은 3층에 있다.", "휴가", 0.9)]
    texts = [quote.text for quote in answer("연차 휴가는 며칠인가요?", inputs).quotes]
    assert texts == ["연차 휴가는 15일이다."]


def test_the_threshold_is_the_callers() -> None:
    confidence = answer("연차는 며칠인가요?", LEAVE).confidence
    assert MIN_SCORE < confidence < 1
    assert answer("연차는 며칠인가요?", LEAVE, min_score=confidence).answered
    assert not answer("연차는 며칠인가요?", LEAVE, min_score=1.0).answered


@pytest.mark.parametrize("belief", [0.0, 0.2, 0.5])
def test_more_belief_in_the_passage_is_more_confidence(belief: float) -> None:
    less = answer("연차는 며칠인가요?", [Passage("a", "연차는 15일이다.", score=belief)])
    more = answer("연차는 며칠인가요?", [Passage("a", "연차는 15일이다.", score=belief + 0.2)])
    assert less.confidence < more.confidence


def test_belief_may_be_unknown() -> None:
    inputs = [Passage("a", "연차는 15일이다. 병가는 30일이다.")]
    assert answer("연차는 며칠인가요?", inputs).answered
    assert not answer("구내식당은 언제 여나요?", inputs).answered


def test_nothing_asked_or_nothing_given_is_no_answer() -> None:
    nothing = Extract((), 0.0, False)
    assert answer("", LEAVE) == nothing
    assert answer("무엇인가요?", LEAVE) == nothing
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
    inputs = [Passage("a", f"다른 이야기를 한다. {sentence} 날씨가 맑다.")]
    assert answer(question, inputs).quotes[0].text == sentence


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("회의실은 몇 층인가요?", "count"),
        ("점검 주기는?", "date or period"),
        ("팩스 번호는 무엇인가요?", "telephone number"),
        ("입장료는 얼마인가요?", "amount of money"),
        ("소방 훈련은 몇 시에 시작하나요?", "time of day"),
        ("몇몇 회원이 뽑은 사람은 누구인가요?", ""),
        ("When does the gate close?", "date or period"),
        ("When may I travel first class?", ""),
        ("What does delivery to Japan cost?", "amount of money"),
        ("What colour is the lamp?", "colour"),
    ],
)
def test_the_kind_of_answer_is_told_from_the_question(question: str, kind: str) -> None:
    assert expectation(question).name == kind


@pytest.mark.parametrize(
    ("question", "text"),
    [
        (
            "카페 와이파이 비밀번호는 무엇인가요?",
            "방문객에게 와이파이 비밀번호를 알려 주지 않는다.",
        ),
        ("PX-302의 점검 주기는?", "PX-301의 점검 주기는 2주이다."),
        ("무선 마이크의 무게는 얼마인가요?", "품명: 무선 마이크 · 납기: 7일 · 단가: 95000원"),
        ("종합자료실은 몇 시에 여나요?", "열람실: 종합자료실 · 닫는 시각: 밤 9시"),
        ("What is the password of the café's Wi-Fi?", "Visitors never get the office password."),
        ("What is the hotel cap in Peru?", "Region: Europe · Hotel cap: 190 euros"),
    ],
)
def test_a_near_miss_is_not_sure(question: str, text: str) -> None:
    assert answer(question, [Passage("a", text, "", 0.7)]).confidence < 0.5


def test_a_question_for_a_number_prefers_a_sentence_that_holds_one() -> None:
    inputs = [Passage("a", "회원은 매년 회비를 걱정한다. 회원은 매년 회비 5만 원을 낸다.")]
    assert "5만 원" in answer("회원은 매년 회비를 얼마 내나요?", inputs).quotes[0].text
