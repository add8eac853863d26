"""What is said where nobody can write: passages' own words, cited, or honestly nothing."""

from collections.abc import Sequence
from typing import Any

import pytest

from rag.types.v1.grounding_pb2 import SkippedReason
from rag.types.v1.passage_pb2 import Evidence, Passage, ScoredPassage
from rag_common.text.language import language
from rag_gateway.answering.model import Generation, Question, Retrieval, Support
from rag_gateway.answering.quoting import QuotedAnswer, quoting_fallback
from rag_generator.answering.service import Skipped, refusal_message

KOREAN, ENGLISH = "연차는 며칠인가요?", "How many days of leave?"
LEAVE = "연차 휴가는 한 해에 15일을 준다. 병가는 따로 정한다."
SENTENCE = "The warehouse on the northern quay opens at seven. "

WEAK = SkippedReason.SKIPPED_REASON_WEAK_EVIDENCE
FLAG, REFUSE = Support("flag"), Support("refuse")


def passage(
    text: str = LEAVE, score: float | None = 0.8, name: str = "a", words: bool = True
) -> ScoredPassage:
    return ScoredPassage(
        passage=Passage(passage_id=name, document_id=f"doc-{name}", text=text),
        evidence=Evidence(score=score, sparse_rank=1 if words else None),
    )


def quoted(
    *passages: ScoredPassage,
    text: str = KOREAN,
    sources: Retrieval | Sequence[Passage] | None = None,
    support: Support = REFUSE,
    language: str = "",
) -> QuotedAnswer:
    requested = Question(
        text, Retrieval() if sources is None else sources, Generation(language=language), support
    )
    return quoting_fallback(requested, passages)


def test_the_first_passage_is_quoted_cited_and_supports_the_answer() -> None:
    answer = quoted(passage(), passage("병가는 15일이다.", name="b"), support=FLAG)
    [citation] = answer.citations
    assert citation.quote == LEAVE[citation.quote_start : citation.quote_end] == LEAVE
    assert answer.text[citation.answer_start : citation.answer_end] == LEAVE
    assert answer.text.endswith(f"{LEAVE} [1]")
    assert (citation.number, citation.passage_id, citation.document_id) == (1, "a", "doc-a")
    [claim] = answer.grounding.claims
    assert answer.text[claim.start : claim.end] == LEAVE
    assert (claim.supported, list(claim.passage_ids)) == (True, ["a"])
    assert (answer.grounding.score, answer.confidence) == (1.0, 0.8)
    assert answer.skipped_reason == SkippedReason.SKIPPED_REASON_UNSPECIFIED


@pytest.mark.parametrize(
    ("question", "wanted"), [(KOREAN, ""), (ENGLISH, "ko"), (ENGLISH, ""), (KOREAN, "en")]
)
def test_it_speaks_the_language_of_the_question_or_the_one_asked_for(
    question: str, wanted: str
) -> None:
    frame = quoted(passage(), text=question, language=wanted).text.split("\n\n")[0]
    assert ("답변을 작성할 수 없습니다" in frame) == (language(question, wanted) == "ko")
    assert ("No answer can be written" in frame) == (language(question, wanted) == "en")


def test_a_long_passage_is_cut_behind_a_whole_sentence() -> None:
    [citation] = quoted(passage(SENTENCE * 40)).citations
    assert 500 < len(citation.quote) <= 600
    assert citation.quote.endswith("at seven.")


@pytest.mark.parametrize("text", ["word " * 400, "가" * 2000], ids=["words", "one word"])
def test_a_sentence_without_an_end_is_cut_all_the_same(text: str) -> None:
    [citation] = quoted(passage(text)).citations
    assert 500 < len(citation.quote) <= 600
    assert not citation.quote.endswith("wor")


def test_a_number_in_a_passage_does_not_pass_for_a_citation() -> None:
    created = quoted(passage("휴가는 15일이다 [2]. 끝."))
    assert created.text.count("[") == 1
    [citation] = created.citations
    assert citation.quote == "휴가는 15일이다 [2]. 끝."
    assert created.text[citation.answer_start : citation.answer_end] == "휴가는 15일이다. 끝."


@pytest.mark.parametrize("tongue", ["ko", "en"])
def test_without_passages_it_says_what_the_generator_would(tongue: str) -> None:
    created = quoted(language=tongue)
    assert created.text == refusal_message(Skipped.NO_PASSAGES, tongue)
    assert created.skipped_reason == SkippedReason.SKIPPED_REASON_NO_PASSAGES
    assert created.confidence is None


@pytest.mark.parametrize(
    "weak",
    [passage(score=0.39), passage(words=False), passage(text=" \n")],
    ids=["little belief", "no word in common", "no words"],
)
def test_weak_evidence_is_not_quoted_where_it_is_to_be_refused(weak: ScoredPassage) -> None:
    created = quoted(weak)
    assert (created.skipped_reason, created.citations) == (WEAK, ())
    assert weak.passage.text.strip() not in created.text or not weak.passage.text.strip()


OWN = [Passage(passage_id="a", document_id="doc-a", text=LEAVE)]


@pytest.mark.parametrize(
    ("evidence", "sources", "support", "confidence"),
    [
        ({"score": 0.05, "words": False}, Retrieval(), FLAG, 0.05),
        ({"score": 0.05, "words": False}, Retrieval(), Support("off"), 0.05),
        ({"score": 0.2}, Retrieval(), Support("refuse", 0.1), 0.2),
        ({"score": None, "words": False}, OWN, REFUSE, None),
        ({"score": 0.1}, Retrieval(fusion="rrf"), REFUSE, None),
        ({"words": False}, Retrieval(sparse=False), REFUSE, 0.8),
    ],
    ids=["flag", "off", "own minimum", "own passage", "no belief", "no words searched"],
)
def test_evidence_that_need_not_be_stronger_is_quoted(
    evidence: dict[str, Any],
    sources: Retrieval | Sequence[Passage],
    support: Support,
    confidence: float | None,
) -> None:
    answer = quoted(passage(**evidence), sources=sources, support=support)
    assert answer.citations
    assert answer.confidence == (confidence if confidence is None else pytest.approx(confidence))


@pytest.mark.parametrize(
    ("score", "sources", "minimum"), [(0.8, Retrieval(), 0.9), (None, OWN, 0.5)]
)
def test_the_caller_s_own_minimum_counts(
    score: float | None, sources: Retrieval | Sequence[Passage], minimum: float
) -> None:
    answer = quoted(passage(score=score), sources=sources, support=Support("refuse", minimum))
    assert answer.skipped_reason == WEAK


def test_white_space_before_the_text_is_not_quoted() -> None:
    [citation] = quoted(passage(" " * 10_000 + LEAVE)).citations
    assert (citation.quote, citation.quote_start) == (LEAVE, 10_000)
