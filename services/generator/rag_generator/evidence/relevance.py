"""The relevance of each sentence of the retrieved passages to a question."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rag_generator.evidence.expectation import Expectation, expectation
from rag_generator.evidence.roles import QUOTABLE, Role
from rag_generator.evidence.sentences import Passage
from rag_generator.evidence.term_matching import Folded, Term, folded, match, terms
from rag_generator.evidence.units import Unit, units

Row = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that may be quoted. Rows have a value in [0, 1] for each term of the question.

    `own` says how well the sentence itself matches each term, `row` the same with its context:
    question, label, heading, title, neighbours; `heads` is the context without neighbours. `reach`
    is the best match in the passage. `coverage` is the weighted sum of `row`; candidates are ranked
    by `score`.
    """

    passage: Passage
    unit: Unit
    own: Row
    row: Row
    heads: Row
    reach: Row
    coverage: float
    score: float
    kind: bool | None
    """Whether it has the kind of answer that the question asks for; None if any text may answer."""

    @property
    def text(self) -> str:
        return self.passage.text[self.unit.start : self.unit.end]


@dataclass(frozen=True, slots=True)
class Relevance:
    """All candidates in the order of the passages, and the question's terms with weights of sum 1."""

    terms: tuple[Term, ...]
    weights: Row
    expects: Expectation
    candidates: tuple[Candidate, ...] = ()
    topic: str = ""
    """The first topic or subject of a Korean question as written; "" if it is not several words."""

    def share(self, values: Iterable[float]) -> float:
        """The weighted sum of a row."""
        return sum(weight * value for weight, value in zip(self.weights, values, strict=True))

    def gain(self, row: Row, held: Row) -> float:
        """The share of the question that `row` covers beyond `held`."""
        return self.share(max(0.0, new - old) for new, old in zip(row, held, strict=True))

    def misses_name(self, candidate: Candidate) -> bool:
        """Whether the question has an identifier or a date that the candidate's row does not match."""
        pairs = zip(self.terms, candidate.row, strict=True)
        return any(term.exact and value < _NAMED for term, value in pairs)

    def misses_proper(self, candidate: Candidate) -> bool:
        """Whether the question has a proper name that is nowhere in the candidate's passage."""
        pairs = zip(self.terms, candidate.reach, strict=True)
        return any(term.proper and value < _NAMED for term, value in pairs)


def relevance(question: str, passages: Sequence[Passage]) -> Relevance:
    """Weigh every sentence that may be quoted; empty if the question has no content words."""
    question_terms = tuple(terms(question))
    expects = expectation(question)
    if not question_terms:
        return Relevance((), (), expects)
    readings = [_PassageReading(passage, question_terms) for passage in passages]
    weights = _weights(question_terms, [row for reading in readings for row in reading.rows])
    topic = _SUBJECT.match(question.strip())
    topic_words = topic[0] if topic and " " in topic[0] else ""
    weighed = Relevance(question_terms, weights, expects, topic=topic_words)
    candidates = (each for reading in readings for each in reading.candidates(weighed))
    return replace(weighed, candidates=tuple(candidates))


# Tuned by hand on KorQuAD: shares of a match in the sentence before, after, and in the title …
_BEFORE, _AFTER, _TITLE = 0.5, 0.35, 0.5
# … and weights of belief and kind in the score. None is sensitive: half or double moves one point.
_BELIEF, _KIND = 0.3, 0.2
# From here a match counts as an occurrence of the term.
_OCCURS = 0.8
# … and from here an identifier counts as named, even if only by the title.
_NAMED = 0.5
# Added to the score of a sentence that contains the question's topic literally.
_TOPIC = 0.03
_SUBJECT = re.compile(r"[^?]{2,30}?[은는이가](?=\s)")
# Factor for verbs and generic words: texts express them with other words.
_PREDICATE = 0.75
# Share of a match of an identifier that an earlier sentence names.
_ABOUT = 0.8
# Roles whose neighbours count as context. Adjacent rows, items and fields are about different
# things, and a heading or question belongs to what follows it.
_RUNNING = frozenset({Role.TEXT})


class _PassageReading:
    """A passage split into units, with the row of each."""

    def __init__(self, passage: Passage, question_terms: Sequence[Term]) -> None:
        self._passage = passage
        self._units = units(passage.text)
        text = passage.text
        pieces = [folded(text[unit.start : unit.end]) for unit in self._units]
        self.rows = [_row(question_terms, piece) for piece in pieces]
        self._named = _named(question_terms, self.rows, pieces)
        self._title = _row(question_terms, folded("\n".join((passage.title, *passage.headings))))
        self._reach = tuple(max(column) for column in zip(self._title, *self.rows, strict=True))

    def candidates(self, weighed: Relevance) -> Iterator[Candidate]:
        passage = self._passage
        for at, unit in enumerate(self._units):
            if unit.role not in QUOTABLE or unit.quote is None:
                continue
            heads = self._heads(at)
            row = self._in_context(at)
            coverage = weighed.share(row)
            text = passage.text[unit.quote.start : unit.quote.end]
            kind = weighed.expects.met(text)
            score = coverage + _BELIEF * (passage.score or 0.0) + _KIND * (kind is True)
            score += _TOPIC * bool(weighed.topic and weighed.topic in " ".join(text.split()))
            yield Candidate(
                passage, unit, self.rows[at], row, heads, self._reach, coverage, score, kind
            )

    def _heads(self, at: int) -> Row:
        """The best match of the title and the unit's heads for each term."""
        rows = [self._title, *(self.rows[head] for head, _ in self._units[at].heads)]
        return tuple(max(column) for column in zip(*rows, strict=True))

    def _in_context(self, at: int) -> Row:
        rows, unit = self.rows, self._units[at]
        shares = [(self._title, _TITLE), (self._named[at], _ABOUT)]
        shares += [(rows[head], share) for head, share in unit.heads]
        if unit.role in _RUNNING and at and self._units[at - 1].role in _RUNNING:
            shares.append((rows[at - 1], _BEFORE))
        if unit.role in _RUNNING and at + 1 < len(rows) and self._units[at + 1].role in _RUNNING:
            shares.append((rows[at + 1], _AFTER))
        return tuple(
            max(own, *(row[column] * share for row, share in shares))
            for column, own in enumerate(rows[at])
        )


def _named(
    question_terms: Sequence[Term], rows: Sequence[Row], pieces: Sequence[Folded]
) -> list[Row]:
    """For each sentence, the identifiers of the question in the last sentence that names any.

    A text that names ABX-1240 once is about it until it names another identifier.
    """
    nothing = (0.0,) * len(question_terms)
    if not any(term.exact for term in question_terms):
        return [nothing] * len(rows)
    named, last = [], nothing
    for row, piece in zip(rows, pieces, strict=True):
        if piece.exact:
            last = tuple(
                value if term.exact else 0.0
                for term, value in zip(question_terms, row, strict=True)
            )
        named.append(last)
    return named


def _row(question_terms: Sequence[Term], text: Folded) -> Row:
    return tuple(match(term, text) for term in question_terms)


def _weights(question_terms: Sequence[Term], rows: Sequence[Row]) -> Row:
    """Weights of sum 1: rarer terms (inverse document frequency) and longer ones weigh more."""
    raw = []
    for column, term in enumerate(question_terms):
        holding = max(1, sum(row[column] >= _OCCURS for row in rows))
        rarity = math.log(1 + (len(rows) - holding + 0.5) / (holding + 0.5))
        raw.append(max(rarity, 1e-6) * _own_weight(term))
    total = sum(raw)
    return tuple(value / total for value in raw)


def _own_weight(term: Term) -> float:
    """A factor in (0, 1]: lower for short stems, verbs and generic words."""
    if term.exact:
        return 1.0
    letters = 1.0 if len(term.stem) > 1 else 0.5
    length = letters if term.latin else min(1.0, 0.4 + 0.2 * len(term.stem))
    return length * (_PREDICATE if term.predicate or term.generic else 1.0)
