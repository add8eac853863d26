"""The answer while the generator is unavailable: a quote of the first passage, introduced as such."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from rag.types.v1.grounding_pb2 import Citation, Claim, Grounding, SkippedReason
from rag.types.v1.passage_pb2 import ScoredPassage
from rag_common.text.language import language
from rag_common.text.sentences import sentences
from rag_gateway.answering.model import Question, Retrieval

MODEL = "quote"

# Characters of a quote: what a person reads in half a minute.
_QUOTE_CHARACTERS = 600
# The posterior probability from which a passage is quoted: between the medians of searches whose first
# passage is the right one (0.55) and of those without a right one (0.24), on KorQuAD. A passage without
# a probability counts as this probable.
_MIN_PROBABILITY = 0.4


@dataclass(frozen=True, slots=True)
class QuotedAnswer:
    """A quote with its citation and grounding, or the reason why nothing is quoted.

    `confidence` is the first passage's posterior probability, None if the search returns none.
    """

    text: str
    citations: tuple[Citation, ...] = ()
    grounding: Grounding = field(default_factory=lambda: Grounding(score=1.0))
    skipped_reason: SkippedReason = SkippedReason.SKIPPED_REASON_UNSPECIFIED
    confidence: float | None = None


def quoting_fallback(question: Question, passages: Sequence[ScoredPassage]) -> QuotedAnswer:
    """Quote the beginning of the first passage, which is the best one.

    The sentence that introduces the quote is in the question's language. If weak evidence is to be
    refused, the passage is quoted only if its posterior probability reaches the question's
    `min_score`, or 0.4 if it has none, and, if the search was sparse or hybrid, it shares a term with
    the question.
    """
    answer_language = language(question.text, question.generation.language)
    if not passages:
        return QuotedAnswer(
            _NO_PASSAGES[answer_language], skipped_reason=SkippedReason.SKIPPED_REASON_NO_PASSAGES
        )
    first = passages[0]
    confidence = _probability(question, first)
    if not _is_quotable(question, first, confidence):
        return QuotedAnswer(
            _WEAK[answer_language],
            skipped_reason=SkippedReason.SKIPPED_REASON_WEAK_EVIDENCE,
            confidence=confidence,
        )
    return _quote(_INTRODUCTION[answer_language], first, confidence)


_INTRODUCTION = {
    "ko": "지금은 답변을 작성할 수 없습니다. 질문과 가장 가까운 문서 내용을 그대로 보여 드립니다.",
    "en": "No answer can be written at the moment. This is what was found, word for word.",
}
_WEAK = {
    "ko": "지금은 답변을 작성할 수 없으며, 그대로 보여 드릴 만큼 확실한 문서도 찾지 못했습니다.",
    "en": "No answer can be written at the moment, and nothing was found that is sure enough to quote.",
}
# The same sentences as the generator's.
_NO_PASSAGES = {
    "ko": "검색된 문서가 없어 답할 수 없습니다.",
    "en": "No documents were found, so this cannot be answered.",
}
# A number in brackets in the passage's own text could be mistaken for a citation.
_BRACKETED_NUMBER = re.compile(r"\s?\[\d{1,3}\]")


def _is_quotable(question: Question, item: ScoredPassage, probability: float | None) -> bool:
    if not item.passage.text.strip():
        return False
    if question.support.mode != "refuse":
        return True
    minimum = question.support.min_score
    minimum = _MIN_PROBABILITY if minimum is None else minimum
    probability = _MIN_PROBABILITY if probability is None else probability
    sources = question.sources
    sparse = isinstance(sources, Retrieval) and sources.sparse
    shares_a_term = not sparse or item.evidence.HasField("sparse_rank")
    return probability >= minimum and shares_a_term


def _probability(question: Question, item: ScoredPassage) -> float | None:
    """The passage's posterior probability; None if its score is of another fusion or missing."""
    sources = question.sources
    posterior = isinstance(sources, Retrieval) and sources.fusion == "posterior"
    return item.evidence.score if posterior and item.evidence.HasField("score") else None


def _quote(introduction: str, item: ScoredPassage, confidence: float | None) -> QuotedAnswer:
    start, end = _span(item.passage.text)
    quote = item.passage.text[start:end]
    text = _BRACKETED_NUMBER.sub("", quote)
    before = f"{introduction}\n\n"
    citation = Citation(
        number=1,
        passage_id=item.passage.passage_id,
        document_id=item.passage.document_id,
        answer_start=len(before),
        answer_end=len(before) + len(text),
        quote=quote,
        quote_start=start,
        quote_end=end,
    )
    # The quote is a supported claim; the introduction claims nothing about the documents.
    claim = Claim(
        start=citation.answer_start,
        end=citation.answer_end,
        supported=True,
        score=1.0,
        passage_ids=[citation.passage_id],
    )
    grounding = Grounding(score=1.0, claims=[claim])
    return QuotedAnswer(f"{before}{text} [1]", (citation,), grounding, confidence=confidence)


def _span(text: str) -> tuple[int, int]:
    """The complete sentences that fit into a quote from the start; else the first words."""
    start = len(text) - len(text.lstrip())
    limit = start + _QUOTE_CHARACTERS
    # Twice the length, so that no sentence that fits ends where the read text is cut.
    read = sentences(text[start : limit + _QUOTE_CHARACTERS])
    ends = [start + span.end for span in read if start + span.end <= limit]
    if ends:
        return start, ends[-1]
    cut = text.rfind(" ", start, limit + 1)
    return start, cut if cut > start else limit
