"""What is answered where nobody can write an answer: the best passages' own words, and that it is so."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rag.types.v1.grounding_pb2 import Citation, Claim, Grounding, SkippedReason
from rag.types.v1.passage_pb2 import ScoredPassage
from rag_common.sentences import sentences
from rag_gateway.question import Question, Retrieval

MODEL = "quote"

# Passages that are quoted, and characters of each: what a person reads in half a minute.
_MOST, _LENGTH = 2, 600
# What is looked through for them, in characters of a passage, and for how many of the question's
# terms: more than usual ones have, and milliseconds for the worst.
_READ, _TERMS = 6000, 32
# The share of belief from which a passage may stand for an answer: between the medians of searches
# whose first passage is the right one (0.55) and of those that have none (0.24), on KorQuAD. One
# whose share is not known counts as much.
_LEAST_BELIEF = 0.4


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Words of passages with citations and grounding, or why there are none.

    `confidence` is the first passage's share of belief, None where the search gives none.
    """

    text: str
    citations: tuple[Citation, ...] = ()
    grounding: Grounding = field(default_factory=lambda: Grounding(score=1.0))
    skipped_reason: SkippedReason = SkippedReason.SKIPPED_REASON_UNSPECIFIED
    confidence: float | None = None


def excerpt(
    question: Question, passages: Sequence[ScoredPassage], terms: Sequence[str] = ()
) -> Excerpt:
    """The best of the passages, which are best first, in the question's language.

    Of a long passage it has the whole sentences that hold most of the question's `terms`.

    Where weak evidence is to be refused, a passage is quoted only if its share of belief reaches
    the question's own minimum, or 0.4, and it shares a word with the question where words were
    searched.
    """
    tongue = _tongue(question.text, question.how.language)
    confidence = _belief(question, passages[0]) if passages else None
    if not passages:
        return Excerpt(_NOTHING[tongue], skipped_reason=SkippedReason.SKIPPED_REASON_NO_PASSAGES)
    shown = [item for item in passages if _quotable(question, item)][:_MOST]
    if not shown:
        return Excerpt(
            _WEAK[tongue],
            skipped_reason=SkippedReason.SKIPPED_REASON_WEAK_EVIDENCE,
            confidence=confidence,
        )
    return _quoting(_FOUND[tongue], shown, confidence, terms)


_FOUND = {
    "ko": "지금은 답변을 작성할 수 없습니다. 질문과 가장 가까운 문서 내용을 그대로 보여 드립니다.",
    "en": "No answer can be written at the moment. This is what was found, word for word.",
}
_WEAK = {
    "ko": "지금은 답변을 작성할 수 없으며, 그대로 보여 드릴 만큼 확실한 문서도 찾지 못했습니다.",
    "en": "No answer can be written at the moment, and nothing was found that is sure enough to quote.",
}
# As the generator says it.
_NOTHING = {
    "ko": "검색된 문서가 없어 답할 수 없습니다.",
    "en": "No documents were found, so this cannot be answered.",
}
_HANGUL = re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")
_LATIN = re.compile(r"[A-Za-z]")
# A number in a passage's own text would pass for a citation of ours.
_NUMBER = re.compile(r"\s?\[\d{1,3}\]")


def _tongue(question: str, asked: str) -> str:
    """ko or en, by the generator's rule: what was asked for, else Hangul as a fifth of the letters."""
    if asked:
        return "ko" if asked.lower().startswith("ko") else "en"
    hangul, latin = len(_HANGUL.findall(question)), len(_LATIN.findall(question))
    return "ko" if hangul * 5 > latin else "en"


def _quotable(question: Question, item: ScoredPassage) -> bool:
    if not item.passage.text[:_READ].strip():
        return False
    if question.support.mode != "refuse":
        return True
    least = question.support.min_score
    belief = _belief(question, item)
    known = _LEAST_BELIEF if belief is None else belief
    return known >= (_LEAST_BELIEF if least is None else least) and _shares_a_word(question, item)


def _belief(question: Question, item: ScoredPassage) -> float | None:
    """The passage's share of belief; the scores of other fusions, and of nobody, are none."""
    sources = question.sources
    posterior = isinstance(sources, Retrieval) and sources.fusion == "posterior"
    return item.evidence.score if posterior and item.evidence.HasField("score") else None


def _shares_a_word(question: Question, item: ScoredPassage) -> bool:
    sources = question.sources
    searched = isinstance(sources, Retrieval) and sources.sparse
    return not searched or item.evidence.HasField("sparse_rank")


def _quoting(
    frame: str, shown: Sequence[ScoredPassage], confidence: float | None, terms: Sequence[str]
) -> Excerpt:
    text, citations = frame, []
    for number, item in enumerate(shown, 1):
        start, end = _span(item.passage.text, terms)
        quote = item.passage.text[start:end]
        words = _NUMBER.sub("", quote)
        text += "\n\n"
        citations.append(
            Citation(
                number=number,
                passage_id=item.passage.passage_id,
                document_id=item.passage.document_id,
                answer_start=len(text),
                answer_end=len(text) + len(words),
                quote=quote,
                quote_start=start,
                quote_end=end,
            )
        )
        text += f"{words} [{number}]"
    grounding = Grounding(score=1.0, claims=_claims(citations))
    return Excerpt(text, tuple(citations), grounding, confidence=confidence)


def _claims(citations: Sequence[Citation]) -> Iterator[Claim]:
    """A quote supports itself; the words around it are ours and claim nothing of the documents."""
    for one in citations:
        yield Claim(
            start=one.answer_start,
            end=one.answer_end,
            supported=True,
            score=1.0,
            passage_ids=[one.passage_id],
        )


def _span(text: str, terms: Sequence[str]) -> tuple[int, int]:
    """Whole sentences, not over the length: those with most of the terms, the first of equals."""
    found = sentences(text[:_READ])
    ends = [span.end for span in found]
    windows = [_window(text, span.start, ends) for span in found]
    lower = [term.casefold() for term in terms[:_TERMS]]
    return max(windows, key=lambda window: _holding(text[slice(*window)].casefold(), lower))


def _window(text: str, start: int, ends: Sequence[int]) -> tuple[int, int]:
    """As many sentences as fit from here on; of one that does not, its first words."""
    fitting = bisect_right(ends, start + _LENGTH)
    if fitting and ends[fitting - 1] > start:
        return start, ends[fitting - 1]
    cut = text.rfind(" ", start + 1, start + _LENGTH + 1)
    return start, cut if cut > start else start + _LENGTH


def _holding(text: str, terms: Sequence[str]) -> int:
    return sum(term in text for term in terms)
