"""What is said where nobody can write: passages' own words, cited, or honestly nothing."""

from collections.abc import Sequence

import pytest

from rag.types.v1.grounding_pb2 import SkippedReason
from rag.types.v1.passage_pb2 import Evidence, Passage, ScoredPassage
from rag_gateway.excerpt import Excerpt, excerpt
from rag_gateway.question import Generation, Question, Retrieval, Support
from rag_generator.core import Skipped
from rag_generator.language import apology, language

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
    terms: Sequence[str] = (),
) -> Excerpt:
    asked = Question(
        text, Retrieval() if sources is None else sources, Generation(language=language), support
    )
    return excerpt(asked, passages, terms)


def test_a_quote_is_the_passages_own_words_and_cited_where_it_stands() -> None:
    made = quoted(passage())
    [citation] = made.citations
    assert citation.quote == LEAVE[citation.quote_start : citation.quote_end] == LEAVE
    assert made.text[citation.answer_start : citation.answer_end] == LEAVE
    assert made.text.endswith(f"{LEAVE} [1]")
    assert (citation.number, citation.passage_id, citation.document_id) == (1, "a", "doc-a")


def test_a_quote_is_supported_by_its_passage_and_nothing_else_is_claimed() -> None:
    made = quoted(passage())
    [claim] = made.grounding.claims
    assert made.text[claim.start : claim.end] == LEAVE
    assert (claim.supported, list(claim.passage_ids), made.grounding.score) == (True, ["a"], 1.0)
    assert made.confidence == 0.8
    assert made.skipped_reason == SkippedReason.SKIPPED_REASON_UNSPECIFIED


@pytest.mark.parametrize(
    ("question", "wanted"), [(KOREAN, ""), (ENGLISH, "ko"), (ENGLISH, ""), (KOREAN, "en")]
)
def test_it_speaks_the_language_of_the_question_or_the_one_asked_for(
    question: str, wanted: str
) -> None:
    frame = quoted(passage(), text=question, language=wanted).text.split("\n\n")[0]
    assert ("답변을 작성할 수 없습니다" in frame) == (language(question, wanted) == "ko")
    assert ("No answer can be written" in frame) == (language(question, wanted) == "en")


def test_two_passages_at_most_are_quoted_each_under_its_number() -> None:
    made = quoted(*(passage(f"글 {name}.", name=name) for name in "abc"), support=FLAG)
    assert [(one.number, one.passage_id) for one in made.citations] == [(1, "a"), (2, "b")]
    for one in made.citations:
        assert made.text[one.answer_start : one.answer_end] == one.quote


def test_a_long_passage_is_cut_behind_a_whole_sentence() -> None:
    [citation] = quoted(passage(SENTENCE * 40)).citations
    assert 500 < len(citation.quote) <= 600
    assert citation.quote.endswith("at seven.")


def test_of_a_long_passage_the_sentences_with_the_questions_words_are_quoted() -> None:
    text = SENTENCE * 20 + "Annual Leave is 15 days a year. " + SENTENCE * 20
    [citation] = quoted(passage(text), text=ENGLISH, terms=("leave", "year")).citations
    assert "Annual Leave is 15 days a year." in citation.quote
    assert citation.quote == text[citation.quote_start : citation.quote_end]
    assert len(citation.quote) <= 600


@pytest.mark.parametrize("text", ["word " * 400, "가" * 2000], ids=["words", "one word"])
def test_a_sentence_without_an_end_is_cut_all_the_same(text: str) -> None:
    [citation] = quoted(passage(text)).citations
    assert 500 < len(citation.quote) <= 600
    assert not citation.quote.endswith("wor")


def test_a_number_in_a_passage_does_not_pass_for_a_citation() -> None:
    made = quoted(passage("휴가는 15일이다 [2]. 끝."))
    assert made.text.count("[") == 1
    [citation] = made.citations
    assert citation.quote == "휴가는 15일이다 [2]. 끝."
    assert made.text[citation.answer_start : citation.answer_end] == "휴가는 15일이다. 끝."


@pytest.mark.parametrize("tongue", ["ko", "en"])
def test_without_passages_it_says_what_the_generator_would(tongue: str) -> None:
    made = quoted(language=tongue)
    assert made.text == apology(Skipped.NO_PASSAGES, tongue)
    assert made.skipped_reason == SkippedReason.SKIPPED_REASON_NO_PASSAGES
    assert made.confidence is None


@pytest.mark.parametrize(
    "weak",
    [passage(score=0.39), passage(words=False), passage(text=" \n")],
    ids=["little belief", "no word in common", "no words"],
)
def test_weak_evidence_is_not_quoted_where_it_is_to_be_refused(weak: ScoredPassage) -> None:
    made = quoted(weak)
    assert (made.skipped_reason, made.citations) == (WEAK, ())
    assert weak.passage.text.strip() not in made.text or not weak.passage.text.strip()


@pytest.mark.parametrize("mode", ["flag", "off"])
def test_weak_evidence_is_quoted_where_it_is_not_to_be_refused(mode: str) -> None:
    made = quoted(passage(score=0.05, words=False), support=Support(mode))
    assert made.citations
    assert made.confidence == pytest.approx(0.05)


def test_the_callers_own_minimum_counts() -> None:
    assert quoted(passage(score=0.2), support=Support("refuse", 0.1)).citations
    assert quoted(passage(score=0.8), support=Support("refuse", 0.9)).skipped_reason == WEAK


def test_an_unknown_belief_counts_as_the_least_that_is_enough() -> None:
    given = passage(score=None, words=False)
    own = [given.passage]
    assert quoted(given, sources=own).citations
    assert quoted(given, sources=own).confidence is None
    assert quoted(given, sources=own, support=Support("refuse", 0.5)).skipped_reason == WEAK


def test_scores_of_other_fusions_are_no_belief() -> None:
    made = quoted(passage(score=0.1), sources=Retrieval(fusion="rrf"))
    assert made.citations
    assert made.confidence is None


def test_where_no_words_were_searched_none_need_be_shared() -> None:
    assert quoted(passage(words=False), sources=Retrieval(sparse=False)).citations


def test_a_passage_that_begins_with_nothing_is_not_quoted() -> None:
    made = quoted(passage(" " * 10_000 + LEAVE), support=FLAG)
    assert made.skipped_reason == WEAK
