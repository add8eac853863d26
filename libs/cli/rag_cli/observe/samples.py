"""Samples of a metrics page, and the changes between two pages."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as read_text

Labels = frozenset[tuple[str, str]]


_EXEMPLAR = re.compile(r" # \{[^}]*\} \S+(?: \S+)?$")
_CREATED, _END = "_created", "# EOF"


class Unreadable(ValueError):
    """The page has no metrics in a known format."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Values by name and labels; `at` is when they were read, in seconds of a monotonic clock."""

    at: float
    values: Mapping[str, Mapping[Labels, float]]

    def total(self, name: str) -> float | None:
        """The sum of all series of this name; None if there are none."""
        series = self.values.get(name)
        return sum(series.values()) if series else None

    def maximum(self, name: str) -> float | None:
        """The maximum of all series of this name; None if there are none."""
        series = self.values.get(name)
        return max(series.values()) if series else None


def samples(page: str, media_type: str, at: float, prefixes: tuple[str, ...] = ("",)) -> Samples:
    """The samples whose names start with one of `prefixes`. Raises Unreadable."""
    read = read_openmetrics if "openmetrics" in media_type else read_text
    values: dict[str, dict[Labels, float]] = {}
    try:
        for family in read(_filter_lines(page, prefixes)):
            for sample in family.samples:
                values.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise Unreadable("the response is not a metrics page") from error
    if not values:
        raise Unreadable("the response has none of the expected metrics")
    return Samples(at, values)


def _filter_lines(page: str, prefixes: tuple[str, ...]) -> str:
    """The page without other metrics and exemplars: parsing a line costs much more than skipping it."""
    comments = tuple(f"# TYPE {prefix}" for prefix in prefixes)
    lines = [
        _EXEMPLAR.sub("", line)
        for line in page.splitlines()
        if line.startswith((*prefixes, *comments, _END)) and _CREATED not in line.partition("{")[0]
    ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class SampleDelta:
    """The changes from one metrics page to a later one of the same service."""

    before: Samples
    after: Samples

    @property
    def seconds(self) -> float:
        """The time between the pages."""
        return self.after.at - self.before.at

    def increases(self, name: str) -> Iterator[tuple[Mapping[str, str], float]]:
        """The increase of each counter, with its labels; a counter that was reset counts from 0."""
        earlier = self.before.values.get(name, {})
        for labels, value in self.after.values.get(name, {}).items():
            previous = earlier.get(labels, 0.0)
            yield dict(labels), value - previous if value >= previous else value

    def increase_by(self, name: str, label: str) -> dict[str, float]:
        """The increase per value of a label, without values that did not increase."""
        totals: dict[str, float] = {}
        for labels, increase in self.increases(name):
            if increase:
                value = labels.get(label, "")
                totals[value] = totals.get(value, 0.0) + increase
        return totals

    def quantile(self, share: float, name: str, **labels: str) -> float | None:
        """The quantile `share` of a histogram's new values; None if there are none.

        It is interpolated within a bucket; math.inf if it lies above the last finite bound.
        """
        counts: dict[float, float] = {}
        for own, increase in self.increases(f"{name}_bucket"):
            if labels.items() <= own.items():
                bound = float(own["le"])
                counts[bound] = counts.get(bound, 0.0) + increase
        return _quantile(share, sorted(counts.items()))


def _quantile(share: float, cumulative: list[tuple[float, float]]) -> float | None:
    total = cumulative[-1][1] if cumulative else 0.0
    if not total:
        return None
    rank, lower, passed = share * total, 0.0, 0.0
    for bound, count in cumulative:
        if count >= rank and count > passed:
            if math.isinf(bound):
                return math.inf
            return lower + (bound - lower) * (rank - passed) / (count - passed)
        lower, passed = bound, count
    return None
