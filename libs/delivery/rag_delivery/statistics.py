"""Confidence intervals of proportions and of their difference."""

import math
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval, and the estimate in it."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Count:
    """`bad` of `total` events; both are whole numbers of events, as floats."""

    bad: float
    total: float

    @property
    def ratio(self) -> float:
        """The share of bad events, NaN if there are none at all."""
        return self.bad / self.total if self.total else math.nan


def z_score(confidence: float) -> float:
    """The two-sided quantile of the normal distribution, such as 1.96 for 0.95."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


def wilson(count: Count, confidence: float) -> Interval:
    """Wilson's score interval of a proportion, from 0 to 1 without events.

    E. B. Wilson, Journal of the American Statistical Association 22 (1927) 209-212. Unlike the normal
    approximation it holds for few events and for a proportion of 0.
    """
    if not count.total:
        return Interval(math.nan, 0.0, 1.0)
    z2, n, p = z_score(confidence) ** 2, count.total, count.ratio
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return Interval(p, max(centre - half, 0.0), min(centre + half, 1.0))


def difference(one: Count, other: Count, confidence: float) -> Interval:
    """Newcombe's hybrid score interval of `one.ratio - other.ratio`.

    R. G. Newcombe, Statistics in Medicine 17 (1998) 873-890, method 10: each bound combines the bounds
    of the two Wilson intervals.
    """
    a, b = wilson(one, confidence), wilson(other, confidence)
    if math.isnan(a.estimate) or math.isnan(b.estimate):
        return Interval(math.nan, -1.0, 1.0)
    apart = a.estimate - b.estimate
    low = apart - math.hypot(a.estimate - a.low, b.high - b.estimate)
    high = apart + math.hypot(a.high - a.estimate, b.estimate - b.low)
    return Interval(apart, low, high)
