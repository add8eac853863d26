"""Whether each sentence of a text is borne out by the passages."""

from collections.abc import Sequence
from dataclasses import dataclass

from rag_common.sentences import Span, sentences
from rag_generator.evidence import Evidence, Passage, Reading, Sentence, read, weigh
from rag_generator.facts import facts, missing
from rag_generator.matching import Term, folded, match, terms
from rag_generator.polarity import denied


@dataclass(frozen=True, slots=True)
class Support:
    """A sentence [start, end) of the passage that bears a claim out, alone or with others."""

    passage_id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Claim:
    """The sentence [start, end) of the checked text; `score` in [0, 1]; best passages first."""

    start: int
    end: int
    text: str
    supported: bool
    score: float
    supports: tuple[Support, ...]


MIN_SUPPORT = 0.65


def groundedness(
    text: str, passages: Sequence[Passage], min_support: float = MIN_SUPPORT
) -> tuple[Claim, ...]:
    """The claims of `text` in order; one with nothing to check (“네.”) counts as supported."""
    readings = read(passages)
    return tuple(_claim(text, span, readings, min_support) for span in sentences(text))


# A claim may draw on this many sentences of one passage, each covering so much more of it.
_SENTENCES, _GAIN = 2, 0.1
# What a claim keeps of its score when a number, date or name is not there, or it says the opposite.
_MISSING, _FLIPPED = 0.4, 0.3


@dataclass(frozen=True, slots=True)
class _Grade:
    score: float
    supports: tuple[Support, ...]


def _claim(text: str, span: Span, readings: Sequence[Reading], min_support: float) -> Claim:
    claim = text[span.start : span.end]
    evidence = weigh(claim, readings)
    if not evidence.terms:
        return Claim(span.start, span.end, claim, True, 1.0, ())
    grades = [_grade(claim, evidence, reading) for reading in readings]
    grades.sort(key=lambda grade: -grade.score)
    score = grades[0].score if grades else 0.0
    bearing = (grade.supports for grade in grades if grade.score >= min_support)
    supports = tuple(support for supports in bearing for support in supports)
    return Claim(span.start, span.end, claim, score >= min_support, score, supports)


def _grade(claim: str, evidence: Evidence, reading: Reading) -> _Grade:
    passage = reading.passage
    named = [match(term, reading.title) for term in evidence.terms]
    own = [sentence for sentence in evidence.sentences if sentence.passage is passage]
    chosen, score = _chosen(evidence.weights, named, own)
    texts = [sentence.text for sentence in chosen]
    if missing(facts(claim), "\n".join([passage.title, *texts])):
        score *= _MISSING
    if _flipped(claim, texts):
        score *= _FLIPPED
    supports = (Support(passage.id, one.span.start, one.span.end) for one in chosen)
    return _Grade(score, tuple(supports))


def _chosen(
    weights: Sequence[float], named: Sequence[float], own: Sequence[Sentence]
) -> tuple[list[Sentence], float]:
    """The sentences that cover most of the claim, the best first, and the share covered."""
    had, covered = list(named), 0.0
    chosen: list[Sentence] = []
    while len(chosen) < min(_SENTENCES, len(own)):
        best = max(own, key=lambda sentence: _covered(weights, had, sentence))
        if _covered(weights, had, best) < covered + _GAIN:
            break
        had = [max(pair) for pair in zip(had, best.matches, strict=True)]
        covered = sum(weight * value for weight, value in zip(weights, had, strict=True))
        chosen.append(best)
    return chosen, covered


def _covered(weights: Sequence[float], had: Sequence[float], sentence: Sentence) -> float:
    rows = zip(weights, had, sentence.matches, strict=True)
    return sum(weight * max(before, new) for weight, before, new in rows)


def _flipped(claim: str, texts: Sequence[str]) -> bool:
    """Whether a word of the claim is denied here and affirmed there."""
    mine = _stems(denied(claim))
    theirs = _stems([word for text in texts for word in denied(text)])
    return _contradicts(mine, theirs, "\n".join(texts)) or _contradicts(theirs, mine, claim)


def _contradicts(denying: Sequence[Term], also: Sequence[Term], other: str) -> bool:
    there, agreed = folded(other), folded(" ".join(term.stem for term in also))
    return any(match(term, there) >= 0.7 and match(term, agreed) < 0.7 for term in denying)


def _stems(words: Sequence[str]) -> list[Term]:
    return terms(" ".join(words))
