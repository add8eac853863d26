"""Confidence intervals: published examples, and what holds for all counts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_delivery.statistics import Count, difference, wilson, z_score


@st.composite
def counts(draw: st.DrawFn) -> Count:
    total = draw(st.integers(1, 10_000))
    return Count(draw(st.integers(0, total)), total)


def test_the_quantile_of_95_per_cent_is_1_96() -> None:
    assert z_score(0.95) == pytest.approx(1.959964)


@pytest.mark.parametrize(
    ("bad", "total", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_s_interval_of_published_examples(
    bad: int, total: int, low: float, high: float
) -> None:
    interval = wilson(Count(bad, total), 0.95)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, method 10.
    [
        (Count(56, 70), Count(48, 80), 0.0524, 0.3339),
        (Count(9, 10), Count(3, 10), 0.1705, 0.8090),
        (Count(5, 56), Count(0, 29), -0.0381, 0.1926),
        (Count(0, 10), Count(0, 20), -0.1611, 0.2775),
        (Count(10, 10), Count(0, 20), 0.6791, 1.0),
    ],
)
def test_newcombe_s_interval_of_published_examples(
    one: Count, other: Count, low: float, high: float
) -> None:
    interval = difference(one, other, 0.95)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)


@given(counts(), counts())
def test_an_interval_contains_its_estimate_and_is_the_mirror_of_the_reverse(
    one: Count, other: Count
) -> None:
    interval, reverse = difference(one, other, 0.99), difference(other, one, 0.99)
    assert interval.low - 1e-12 <= interval.estimate <= interval.high + 1e-12
    assert (interval.low, interval.high) == pytest.approx((-reverse.high, -reverse.low))


def test_nothing_is_known_of_no_events() -> None:
    interval = difference(Count(0, 0), Count(0, 1000), 0.99)
    assert math.isnan(interval.estimate)
    assert (interval.low, interval.high) == (-1.0, 1.0)
    assert math.isnan(Count(0, 0).ratio)
