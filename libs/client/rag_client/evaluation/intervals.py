"""Means with bootstrap intervals, the same on every run."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_SEED = 20240229
_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean, and the bounds that hold it in 95 % of resamples (percentile bootstrap)."""

    mean: float
    low: float
    high: float


def intervals(
    columns: Mapping[str, Sequence[float]], resamples: int = _RESAMPLES
) -> dict[str, Interval]:
    """Each column's interval; the columns are as long as each other and resampled by the same rows.

    So the column of differences of two others is their paired bootstrap. A column of no rows is 0.
    """
    count = len(next(iter(columns.values())))
    if not count:
        return dict.fromkeys(columns, Interval(0.0, 0.0, 0.0))
    drawn = random.Random(_SEED)  # noqa: S311
    means: dict[str, list[float]] = {name: [] for name in columns}
    for _ in range(resamples):
        rows = drawn.choices(range(count), k=count)
        for name, values in columns.items():
            means[name].append(sum(map(values.__getitem__, rows)) / count)
    return {name: _interval(columns[name], sorted(means[name])) for name in columns}


def differences(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """First minus second, row by row."""
    return [a - b for a, b in zip(first, second, strict=True)]


def _interval(values: Sequence[float], means: Sequence[float]) -> Interval:
    low, high = int(0.025 * len(means)), int(0.975 * len(means)) - 1
    return Interval(sum(values) / len(values), means[low], means[max(high, low)])
