"""Answers in the documents' own sentences, with how far they can be trusted."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag_generator.evidence import Evidence, Passage, Sentence, read, weigh

MIN_SCORE = 0.25


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence of a passage: `text` is its text[start:end]; a higher `score` is better."""

    passage_id: str
    start: int
    end: int
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Extract:
    """At most two quotes, best first; `answered` says whether they may stand as an answer."""

    quotes: tuple[Quote, ...]
    confidence: float
    answered: bool


def answer(question: str, passages: Sequence[Passage], min_score: float = MIN_SCORE) -> Extract:
    """The best evidence for `question`; answered if `confidence` in [0, 1] reaches `min_score`.

    The quotes are there in either case: a caller may show them as what comes nearest. A question
    without content words, or no text to quote from, gives none and confidence 0.
    """
    quoted = _best(weigh(question, read(passages)))
    if not quoted:
        return Extract((), 0.0, False)
    confidence = _confidence(quoted[0])
    quotes = tuple(_quote(sentence) for sentence in quoted)
    return Extract(quotes, confidence, confidence >= min_score)


# A heading names a matter and a table's rule says nothing: neither is an answer.
_MARKUP = re.compile(r"\s*#{1,6}\s.*|[\s|:=*_-]*")
# A line under this many characters without a stop is a heading, a list's number or a page's title.
_SHORT, _STOPS = 20, (".", "!", "?", "。", "다", "요", "음", "함")
# What a second quote must cover of the question, as a share of what the first does.
_SECOND = 0.6
# How much of what the first quote leaves open counts in choosing the second.
_GAIN = 0.5
# Logistic regression of "the relevant passage is among these" on coverage and the passage's
# share of belief, fitted on half of KorQuAD's articles with that passage in and out of the index.
_COVERAGE, _BELIEF, _INTERCEPT = 10.0, 6.0, -8.3
# Between the medians with (0.55) and without (0.24) the relevant passage.
_UNKNOWN_BELIEF = 0.4


def _best(evidence: Evidence) -> list[Sentence]:
    quotable = [one for one in evidence.sentences if not _MARKUP.fullmatch(one.text)]
    if not quotable:
        return []
    first = max(quotable, key=lambda sentence: sentence.score)
    rest = [sentence for sentence in quotable if sentence.text != first.text]
    if not rest:
        return [first]
    second = max(rest, key=lambda other: other.score + _GAIN * _gain(evidence, first, other))
    return [first, second] if _adds(first, second) else [first]


def _adds(first: Sentence, second: Sentence) -> bool:
    """Whether a second quote says something: a short line is a title, and weak evidence is filler."""
    whole = len(second.text) >= _SHORT or second.text.rstrip().endswith(_STOPS)
    return whole and second.coverage >= _SECOND * first.coverage


def _gain(evidence: Evidence, first: Sentence, other: Sentence) -> float:
    """The share of the question's weight that `other` covers beyond `first`."""
    rows = zip(evidence.weights, first.matches, other.matches, strict=True)
    return sum(weight * max(0.0, more - had) for weight, had, more in rows)


def _confidence(first: Sentence) -> float:
    score = first.passage.score
    belief = _UNKNOWN_BELIEF if score is None else score
    logit = _COVERAGE * first.coverage + _BELIEF * belief + _INTERCEPT
    return 1.0 / (1.0 + math.exp(-logit))


def _quote(sentence: Sentence) -> Quote:
    span = sentence.span
    return Quote(sentence.passage.id, span.start, span.end, sentence.text, sentence.score)
