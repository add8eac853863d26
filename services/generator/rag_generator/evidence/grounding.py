"""Grounding: whether the passages support each sentence of a text."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from rag_common.text.sentences import Span, sentences
from rag_generator.evidence.polarity import negated_words
from rag_generator.evidence.sentences import (
    Evidence,
    Passage,
    Reading,
    Sentence,
    read,
    weigh,
)
from rag_generator.evidence.term_matching import Term, folded, match, terms


def facts(claim: str) -> frozenset[str]:
    """The facts of a claim: numbers with units, days as month and day, names; in canonical form."""
    text = _plain(claim)
    days = {match[0] for match in _DAY.finditer(text)}
    numbers = {match[0] for match in _NUMBER.finditer(text)}
    names = {match[0].lower() for match in _NAME.finditer(unicodedata.normalize("NFKC", claim))}
    return frozenset(days | numbers | names)


def missing(claim_facts: frozenset[str], evidence: str) -> frozenset[str]:
    """The facts of a claim that `evidence` does not contain."""
    text = _plain(evidence)
    return frozenset(fact for fact in claim_facts if not _contains(text, fact))


_UNITS = (
    r"(?:%|퍼센트|만|천|백|억|조|년|월|일|시|분|초|명|개|위|차|회|번|대|세|살|원|층|호|권|편|주|배"
    r"|(?:million|billion|thousand|percent|hundred|years?|months?|weeks?|days?|hours?|minutes?)\b)"
)
_NUMBER = re.compile(rf"(?<![\d.])\d+(?:\.\d+)?{_UNITS}?")
_DAY = re.compile(r"(?<!\d)\d{1,2}월\d{1,2}일")
# A capital after another word, or Latin letters within Korean; not the first word of a sentence.
_NAME = re.compile(r"(?<=[a-z가-힣,;:] )[A-Z][A-Za-z]+|[A-Za-z]{2,}(?=[가-힣])|\b[A-Z]{2,}\b")
_SEPARATED = re.compile(r"(?<!\d)(\d{4})[-./]\s?(\d{1,2})[-./]\s?(\d{1,2})(?!\d)\.?")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3})")
_BEFORE_UNIT = re.compile(rf"(?<=\d)[\s-]+(?={_UNITS})|(?<=[년월])\s+(?=\d)")
_LEADING_ZERO = re.compile(r"(?<![\d.])0(?=\d)")


def _plain(text: str) -> str:
    """Canonical form: lower case, 1,000 as 1000, 2019-06-30 as 2019년6월30일, no space before a unit."""
    text = _THOUSANDS.sub("", unicodedata.normalize("NFKC", text).lower())
    text = _SEPARATED.sub(r"\1년\2월\3일", text)
    return _BEFORE_UNIT.sub("", _LEADING_ZERO.sub("", text))


def _contains(text: str, fact: str) -> bool:
    start = text.find(fact)
    while start >= 0:
        before, after = text[start - 1 : start], text[start + len(fact) :][:1]
        if _separate(before, fact[0]) and _separate(after, fact[-1]):
            return True
        start = text.find(fact, start + 1)
    return False


def _separate(neighbour: str, edge: str) -> bool:
    """Whether `neighbour` does not continue the number or Latin word that ends in `edge`."""
    if edge.isdigit():
        return not neighbour.isdigit()
    return not ("a" <= edge <= "z" and "a" <= neighbour <= "z")


@dataclass(frozen=True, slots=True)
class Support:
    """A sentence [start, end) of the passage that supports a claim, alone or with others."""

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
    """The claims of `text` in order; one without content words (“네.”) counts as supported."""
    readings = read(passages)
    return tuple(_claim(text, span, readings, min_support) for span in sentences(text))


# Sentences of one passage that may support a claim together, and what each must add to the coverage.
_MAX_SENTENCES, _MIN_GAIN = 2, 0.1
# Factors of the score if a number, date or name is missing, and if the negation differs.
_MISSING_FACTOR, _NEGATED_FACTOR = 0.4, 0.3


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
    grounded = (grade.supports for grade in grades if grade.score >= min_support)
    supports = tuple(support for supports in grounded for support in supports)
    return Claim(span.start, span.end, claim, score >= min_support, score, supports)


def _grade(claim: str, evidence: Evidence, reading: Reading) -> _Grade:
    passage = reading.passage
    named = [match(term, reading.title) for term in evidence.terms]
    own = [sentence for sentence in evidence.sentences if sentence.passage is passage]
    chosen, score = _chosen(evidence.weights, named, own)
    texts = [sentence.text for sentence in chosen]
    if missing(facts(claim), "\n".join([passage.title, *texts])):
        score *= _MISSING_FACTOR
    if _negation_differs(claim, texts):
        score *= _NEGATED_FACTOR
    supports = (Support(passage.id, one.span.start, one.span.end) for one in chosen)
    return _Grade(score, tuple(supports))


def _chosen(
    weights: Sequence[float], named: Sequence[float], own: Sequence[Sentence]
) -> tuple[list[Sentence], float]:
    """The sentences that cover most of the claim, the best first, and the share covered."""
    held, covered = list(named), 0.0
    chosen: list[Sentence] = []
    while len(chosen) < min(_MAX_SENTENCES, len(own)):
        best = max(own, key=lambda sentence: _covered(weights, held, sentence))
        if _covered(weights, held, best) < covered + _MIN_GAIN:
            break
        held = [max(pair) for pair in zip(held, best.matches, strict=True)]
        covered = sum(weight * value for weight, value in zip(weights, held, strict=True))
        chosen.append(best)
    return chosen, covered


def _covered(weights: Sequence[float], held: Sequence[float], sentence: Sentence) -> float:
    rows = zip(weights, held, sentence.matches, strict=True)
    return sum(weight * max(before, new) for weight, before, new in rows)


def _negation_differs(claim: str, texts: Sequence[str]) -> bool:
    """Whether a word is negated in the claim and affirmed in the texts, or the reverse."""
    in_claim = _stems(negated_words(claim))
    in_texts = _stems([word for text in texts for word in negated_words(text)])
    return _affirms(in_claim, in_texts, "\n".join(texts)) or _affirms(in_texts, in_claim, claim)


def _affirms(negated: Sequence[Term], also_negated: Sequence[Term], other: str) -> bool:
    """Whether `other` contains a word of `negated` that it does not negate too."""
    text, agreed = folded(other), folded(" ".join(term.stem for term in also_negated))
    return any(match(term, text) >= 0.7 and match(term, agreed) < 0.7 for term in negated)


def _stems(words: Sequence[str]) -> list[Term]:
    return terms(" ".join(words))
