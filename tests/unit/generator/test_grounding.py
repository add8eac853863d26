"""Whether claims are borne out by the passages."""

import pytest

from rag_generator.evidence.grounding import groundedness
from rag_generator.evidence.sentences import Passage

PASSAGES = (
    Passage(
        "leave",
        "연차 휴가는 입사 1년이 지나면 15일을 준다. 남은 연차는 다음 해로 이월할 수 없다. "
        "개정 규정은 2019. 6. 30. 시행되었다. 담당자는 박영희 과장이다.",
        title="휴가 규정",
    ),
    Passage(
        "travel",
        "Employees fly economy on all trips. Business class is not allowed without approval. "
        "The daily hotel limit is 120,000 won in Seoul. KTX 요금은 전액 지급한다.",
        title="Travel policy",
    ),
)


@pytest.mark.parametrize(
    "claim",
    [
        "연차 휴가는 입사 1년이 지나면 15일을 준다.",
        "입사하고 1년이 지나면 연차를 15일 받습니다.",
        "남은 연차는 이월할 수 없습니다.",
        "휴가 규정은 2019년 6월 30일에 시행되었습니다.",
        "담당자는 박영희 과장입니다.",
        "Employees fly economy on trips.",
        "The daily hotel limit in Seoul is 120000 won.",
        "Business class isn't allowed without approval.",
    ],
)
def test_what_the_passages_say_is_supported(claim: str) -> None:
    (checked,) = groundedness(claim, PASSAGES)
    assert checked.supported
    assert checked.supports


@pytest.mark.parametrize(
    "claim",
    [
        "연차 휴가는 입사 1년이 지나면 20일을 준다.",
        "연차 휴가는 입사 1년이 지나면 15시간을 준다.",
        "휴가 규정은 2019년 6월 3일에 시행되었습니다.",
        "The daily hotel limit is 150,000 won in Seoul.",
        "The daily hotel limit is 120,000 won in Busan.",
        "SRT 요금은 전액 지급한다.",
        "담당자는 김철수입니다.",
        "남은 연차는 다음 해로 이월할 수 있다.",
        "연차 휴가는 입사 1년이 지나도 15일을 주지 않는다.",
        "Business class is allowed without approval.",
        "Employees do not fly economy on trips.",
    ],
)
def test_another_number_date_or_name_and_the_opposite_are_not(claim: str) -> None:
    assert not groundedness(claim, PASSAGES)[0].supported


def test_what_no_passage_speaks_of_scores_low() -> None:
    (checked,) = groundedness("구내식당은 오전 열한 시에 문을 연다.", PASSAGES)
    assert not checked.supported
    assert checked.score < 0.3
    assert checked.supports == ()


def test_every_sentence_is_a_claim_with_its_span() -> None:
    text = "연차는 15일입니다. 구내식당은 무료입니다."
    first, second = groundedness(text, PASSAGES)
    assert (first.supported, second.supported) == (True, False)
    assert [text[claim.start : claim.end] for claim in (first, second)] == [first.text, second.text]


def test_support_names_the_passage_and_its_sentence() -> None:
    (claim,) = groundedness("담당자는 박영희 과장입니다.", PASSAGES)
    (support,) = claim.supports
    assert support.passage_id == "leave"
    assert PASSAGES[0].text[support.start : support.end] == "담당자는 박영희 과장이다."


def test_two_sentences_of_a_passage_may_bear_a_claim_out_together() -> None:
    (claim,) = groundedness("연차는 입사 1년 뒤 15일이고 다음 해로 이월할 수 없다.", PASSAGES)
    assert claim.supported
    assert len(claim.supports) == 2


def test_a_sentence_without_content_has_nothing_to_support() -> None:
    (claim,) = groundedness("그리고 또.", PASSAGES)
    assert (claim.supported, claim.score) == (True, 1.0)
    assert groundedness("", PASSAGES) == ()
    assert not groundedness("연차는 15일입니다.", [])[0].supported


def test_the_threshold_is_the_callers() -> None:
    text = "입사하고 1년이 지나면 연차를 15일 받습니다."
    score = groundedness(text, PASSAGES)[0].score
    assert groundedness(text, PASSAGES, min_support=score)[0].supported
    assert not groundedness(text, PASSAGES, min_support=score + 0.01)[0].supported
