"""Weighs the sentences of the retrieved passages as evidence for a question or a claim."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rag_common.text.sentences import Span, sentences
from rag_generator.evidence.term_matching import Folded, Term, folded, match, terms


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrieved passage; `headings` are those above it, the highest first.

    `score` is its share of belief among all candidates of the search, in [0, 1], a mixture of the
    softmax posteriors of the dense and the sparse list; None if unknown.
    """

    id: str
    text: str
    title: str = ""
    score: float | None = None
    headings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """A preprocessed passage, which can be weighed for any number of questions."""

    passage: Passage
    title: Folded
    spans: tuple[Span, ...]
    sentences: tuple[Folded, ...]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage, weighed as evidence.

    `matches` has a value in [0, 1] for each term of the question. `coverage` is the share of the
    question's weight that the sentence covers, with partial credit for title and neighbours; `score`
    adds the passage's belief, and a bonus if the sentence has the kind of answer asked for.
    """

    passage: Passage
    span: Span
    matches: tuple[float, ...]
    coverage: float
    score: float

    @property
    def text(self) -> str:
        return self.passage.text[self.span.start : self.span.end]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All sentences in the order of the passages, and the question's terms with weights of sum 1."""

    terms: tuple[Term, ...]
    weights: tuple[float, ...]
    sentences: tuple[Sentence, ...]


def read(passages: Iterable[Passage]) -> list[Reading]:
    """Split the passages into sentences and preprocess them for matching."""
    return [_reading(passage) for passage in passages]


def weigh(question: str, readings: Sequence[Reading]) -> Evidence:
    """Weigh every sentence as evidence for `question`; empty if it has no content words."""
    question_terms = terms(question)
    if not question_terms:
        return Evidence((), (), ())
    rows = [
        [_row(question_terms, sentence) for sentence in reading.sentences] for reading in readings
    ]
    weights = _weights(question_terms, [row for passage in rows for row in passage])
    has_kind = _kind_test(question)
    weighed = [
        sentence
        for reading, own in zip(readings, rows, strict=True)
        for sentence in _weighed(
            reading, own, _row(question_terms, reading.title), weights, has_kind
        )
    ]
    return Evidence(tuple(question_terms), weights, tuple(weighed))


# Tuned by hand on KorQuAD: shares of a match in the sentence before, after, and in the title …
_BEFORE, _AFTER, _TITLE = 0.5, 0.35, 0.5
# … and weights of belief and kind in the score. None is sensitive: half or double moves one point.
_BELIEF, _KIND = 0.3, 0.1
# From here a match counts as an occurrence of the term.
_OCCURS = 0.8

_WHEN = re.compile(r"언제|연도|년도|날짜|시기|[날해]는|\bwhen\b|what (?:year|date|day)")
_COUNT = re.compile(
    r"몇|얼마|숫자|[개횟인][수원]|금액|비율|how (?:many|much|long|old|far|tall|big)"
)
_DATE = re.compile(r"\d\s?(?:년|월|일|세기)|\b[12]\d{3}\b")
_NUMBER = re.compile(r"\d+")

_Row = tuple[float, ...]


def _reading(passage: Passage) -> Reading:
    spans = tuple(sentences(passage.text))
    texts = tuple(folded(passage.text[span.start : span.end]) for span in spans)
    return Reading(passage, folded(passage.title), spans, texts)


def _row(question_terms: Sequence[Term], text: Folded) -> _Row:
    return tuple(match(term, text) for term in question_terms)


def _weights(question_terms: Sequence[Term], rows: Sequence[_Row]) -> _Row:
    """Weights of sum 1: rarer terms (inverse document frequency) and longer ones weigh more."""
    raw = []
    for column, term in enumerate(question_terms):
        holding = max(1, sum(row[column] >= _OCCURS for row in rows))
        rarity = math.log(1 + (len(rows) - holding + 0.5) / (holding + 0.5))
        raw.append(rarity * _length_weight(term))
    total = sum(raw)
    return tuple(value / total for value in raw)


def _length_weight(term: Term) -> float:
    """A factor in (0, 1], lower for short stems."""
    if term.exact:
        return 1.0
    if term.latin:
        return 1.0 if len(term.stem) > 1 else 0.5
    return min(1.0, 0.4 + 0.2 * len(term.stem))


def _weighed(
    reading: Reading,
    rows: Sequence[_Row],
    title: _Row,
    weights: _Row,
    has_kind: Callable[[str], bool],
) -> Iterator[Sentence]:
    passage = reading.passage
    for at, span in enumerate(reading.spans):
        coverage = _dot(weights, _in_context(rows, at, title))
        kind = _KIND * has_kind(passage.text[span.start : span.end])
        score = coverage + _BELIEF * (passage.score or 0.0) + kind
        yield Sentence(passage, span, rows[at], coverage, score)


def _in_context(rows: Sequence[_Row], at: int, title: _Row) -> Iterator[float]:
    none = (0.0,) * len(title)
    before = rows[at - 1] if at else none
    after = rows[at + 1] if at + 1 < len(rows) else none
    for own, named, last, coming in zip(rows[at], title, before, after, strict=True):
        yield max(own, _TITLE * named, _BEFORE * last, _AFTER * coming)


def _kind_test(question: str) -> Callable[[str], bool]:
    """A test whether a sentence has a date or number that the question asks for and does not contain."""
    kind = _kind(question.lower())
    if kind is None:
        return lambda sentence: False
    question_numbers = set(_NUMBER.findall(question))
    return lambda sentence: bool(
        kind.search(sentence) and not question_numbers.issuperset(_NUMBER.findall(sentence))
    )


def _kind(question: str) -> re.Pattern[str] | None:
    if _WHEN.search(question):
        return _DATE
    return _NUMBER if _COUNT.search(question) else None


def _dot(weights: Iterable[float], values: Iterable[float]) -> float:
    return sum(weight * value for weight, value in zip(weights, values, strict=True))
