"""Selects the sentences to quote as an answer, with the confidence in them."""

from collections.abc import Sequence
from dataclasses import dataclass

from rag_common.text.sentences import Span
from rag_generator.evidence.confidence import confidence, features
from rag_generator.evidence.relevance import Candidate, Relevance, relevance
from rag_generator.evidence.roles import Role
from rag_generator.evidence.sentences import Passage

MIN_SCORE = 0.3


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
    """At most two quotes, best first; `answered` says whether the confidence suffices."""

    quotes: tuple[Quote, ...]
    confidence: float
    answered: bool


def answer(question: str, passages: Sequence[Passage], min_score: float = MIN_SCORE) -> Extract:
    """The best quotes for `question`; answered if `confidence` in [0, 1] reaches `min_score`.

    Quotes are returned in either case: a caller may show them as the closest match. A question
    without content words, or passages without text to quote, give none and confidence 0.
    """
    weighed = relevance(question, passages)
    if not weighed.candidates:
        return Extract((), 0.0, False)
    first = best(weighed)
    certainty = confidence(features(question, weighed, first))
    quoted = [_quote(weighed, first)]
    second = _second(weighed, first, quoted[0])
    return Extract((*quoted, *second), certainty, certainty >= min_score)


def best(weighed: Relevance) -> Candidate:
    """The candidate to quote first; there must be at least one."""
    return max(weighed.candidates, key=lambda candidate: candidate.score)


# Minimum coverage of a second quote, as a share of the first's.
_SECOND = 0.6
# Weight, in the choice of the second quote, of what it adds to the first's coverage.
_GAIN = 0.5
# Minimum share of the question that a part of a list, or another entry of a table, must cover by its
# own words rather than by those of the list or the table.
_MIN_OWN = 0.08
# A second quote repeats the first if they share at least this part of the shorter one's words.
_SAME = 0.8
# A shorter line, in characters, without a final stop is a title or a fragment.
_SHORT, _STOPS = 20, (".", "!", "?", "。", "다", "요", "음", "함")


def _quote(weighed: Relevance, chosen: Candidate) -> Quote:
    span = _span(weighed, chosen)
    text = chosen.passage.text[span.start : span.end]
    return Quote(chosen.passage.id, span.start, span.end, text, chosen.score)


def _span(weighed: Relevance, chosen: Candidate) -> Span:
    """The span to quote: the sentence, or its complete group unless the sentence is singled out."""
    unit = chosen.unit
    own = Span(unit.start, unit.end) if unit.quote is None else unit.quote
    if unit.group is None:
        return own
    return own if unit.separable and _singled_out(weighed, chosen) else unit.group


def _singled_out(weighed: Relevance, chosen: Candidate) -> bool:
    """Whether the sentence's own words match the question better than its heads do."""
    return weighed.gain(chosen.own, chosen.heads) > _MIN_OWN


def _second(weighed: Relevance, first: Candidate, quoted: Quote) -> tuple[Quote, ...]:
    """The quote that adds most to the first; empty if none adds anything."""
    record = _record(weighed, first)
    if record is not None:
        return (_quote(weighed, record),)
    rest = [other for other in weighed.candidates if _adds(weighed, first, other, quoted)]
    if not rest:
        return ()
    best = max(rest, key=lambda other: other.score + _GAIN * weighed.gain(other.own, first.own))
    return (_quote(weighed, best),)


def _record(weighed: Relevance, first: Candidate) -> Candidate | None:
    """The line that names the record of a field, if it matches more of the question."""
    for other in weighed.candidates:
        same = other.passage is first.passage and other.unit.place == first.unit.record
        if same and weighed.gain(other.own, first.own) > _MIN_OWN:
            return other
    return None


def _adds(weighed: Relevance, first: Candidate, other: Candidate, quoted: Quote) -> bool:
    """Whether `other` adds to the answer: no title, no fragment, no repetition."""
    if other is first or other.coverage < _SECOND * first.coverage:
        return False
    span = _span(weighed, other)
    if (
        other.passage.id == quoted.passage_id
        and span.start < quoted.end
        and quoted.start < span.end
    ):
        return False
    text = other.passage.text[span.start : span.end]
    complete = len(text) >= _SHORT or text.rstrip().endswith(_STOPS)
    if not complete or _repeats(text, quoted.text):
        return False
    if weighed.misses_name(other):
        return False
    entries = (Role.ROW, Role.FIELD, Role.ITEM)
    apart = (
        first.unit.role in entries
        or other.unit.role in entries
        or first.unit.heads != other.unit.heads
    )
    return not apart or weighed.gain(other.own, first.row) > _MIN_OWN


def _repeats(text: str, quoted: str) -> bool:
    words, others = set(text.split()), set(quoted.split())
    return len(words & others) >= _SAME * min(len(words), len(others))
