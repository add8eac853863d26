"""The confidence that the best sentence answers the question."""

import math
from dataclasses import astuple, dataclass

from rag_generator.evidence.polarity import opposed
from rag_generator.evidence.relevance import Candidate, Relevance


@dataclass(frozen=True, slots=True)
class Features:
    """The inputs of the regression, in [0, 1] except `belief`.

    `coverage`: the share of the question that the sentence covers together with its context (title,
    headings, label, neighbours). `own`: the share that it covers by itself. `belief`: the logarithm
    of the passage's share of belief. `other_kind`: 1 if the question asks for a kind of thing (a
    time, an amount) that the quote does not contain. `unidentified`: 1 if the question has an
    identifier or a date that neither the sentence nor its context has; `unnamed`: 1 if it has a
    proper name that is nowhere in the passage. `missing`: the weight, above a quarter, of the
    heaviest word of the question that is nowhere in the passage. `brief`: 1 for no words in the
    question, down to 0 from five. `opposed`: 1 if the sentence has the opposite of one of them.
    """

    coverage: float
    own: float
    belief: float
    other_kind: float
    unidentified: float
    unnamed: float
    missing: float
    brief: float
    opposed: float


def features(question: str, weighed: Relevance, chosen: Candidate) -> Features:
    """The features of the sentence that is quoted first."""
    score = chosen.passage.score
    return Features(
        coverage=chosen.coverage,
        own=weighed.share(chosen.own),
        belief=math.log((_UNKNOWN_BELIEF if score is None else score) + _MIN_BELIEF),
        other_kind=float(chosen.kind is False),
        unidentified=float(weighed.misses_name(chosen)),
        unnamed=float(weighed.misses_proper(chosen)),
        missing=max(0.0, _missing(weighed, chosen) - _MISSING_FROM),
        brief=max(0.0, 1.0 - len(weighed.terms) / _MANY_TERMS),
        opposed=float(opposed(question, chosen.text)),
    )


def confidence(values: Features) -> float:
    """The probability in [0, 1] that the sentence answers, by a logistic regression.

    Above 0.7 it is lower than the regression's: a value of 0.8 or more must be reliable enough for
    users who act on the answer without reading the source.
    """
    pairs = zip(_COEFFICIENTS, astuple(values), strict=True)
    logit = _INTERCEPT + sum(coefficient * value for coefficient, value in pairs)
    return _cautious(1.0 / (1.0 + math.exp(-logit)))


def _cautious(probability: float) -> float:
    """A piecewise linear map: the identity up to 0.7, then through (0.95, 0.8) and (1, 1)."""
    if probability <= _CAUTIOUS_FROM:
        return probability
    if probability <= _HIGH:
        share = (probability - _CAUTIOUS_FROM) / (_HIGH - _CAUTIOUS_FROM)
        return _CAUTIOUS_FROM + share * (_REPORTED - _CAUTIOUS_FROM)
    return _REPORTED + (probability - _HIGH) / (1.0 - _HIGH) * (1.0 - _REPORTED)


# Fitted by `python -m tools.eval.calibration --fit`, on halves of two sets of questions: docs/quality.md.
# The intercept is a third higher than fitted, so that the usual threshold still declines 7 % of
# KorQuAD's answerable questions.
_COEFFICIENTS = (9.26, -0.47, 1.09, -3.53, -2.74, -2.06, -5.15, -2.97, -2.06)
_INTERCEPT = -3.5
# Of KorQuAD's answers with a probability of 0.8 to 0.95, 17 % are wrong; of our own set's with 0.95
# or more, 1 in 115. So 0.95 is reported as 0.8.
_CAUTIOUS_FROM, _HIGH, _REPORTED = 0.7, 0.95, 0.8
# A missing word counts from this share of the question's weight on.
_MISSING_FROM = 0.25
_MANY_TERMS = 5
# Added to a belief before the logarithm: the average share of one of fifty candidates.
_MIN_BELIEF = 0.02
# For passages without a score: between the medians of relevant (0.55) and other passages (0.24).
_UNKNOWN_BELIEF = 0.4


def _missing(weighed: Relevance, chosen: Candidate) -> float:
    """The weight of the heaviest word that the passage lacks; verbs, with their synonyms, do not count.

    Neither does a word for the kind of the answer (요금, number), if the quote is of that kind.
    """
    words = (
        weight * (1.0 - held)
        for term, weight, held in zip(weighed.terms, weighed.weights, chosen.reach, strict=True)
        if not term.predicate and not (term.generic and chosen.kind)
    )
    return max(words, default=0.0)
