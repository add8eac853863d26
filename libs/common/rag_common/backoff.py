"""Exponential backoff, and jitter so that replicas do not act at the same time."""

import random

_JITTER = 0.1
# Keeps the power of two finite; by then every wait has reached its maximum.
_MAX_DOUBLINGS = 32


def exponential(failures: int, first: float, maximum: float) -> float:
    """Seconds to wait after this number (at least 1) of consecutive failures.

    It is `first`, doubled with each further failure, and at most `maximum`.
    """
    return min(first * 2.0 ** min(failures - 1, _MAX_DOUBLINGS), maximum)


def jittered(seconds: float, low: float = 1 - _JITTER, high: float = 1 + _JITTER) -> float:
    """The seconds times a random factor between `low` and `high`; by default within 10 % of 1."""
    return seconds * random.uniform(low, high)  # noqa: S311 - spreads load
