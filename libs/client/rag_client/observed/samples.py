"""One page of metrics as numbers, and what has happened between two of them."""

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
    """The page holds no metrics in a form that is known."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Values by name and labels, read at `at`, in seconds of a clock that only goes on."""

    at: float
    values: Mapping[str, Mapping[Labels, float]]

    def total(self, name: str) -> float | None:
        """The sum of all that have this name; None where there is none."""
        found = self.values.get(name)
        return sum(found.values()) if found else None

    def most(self, name: str) -> float | None:
        """The largest of all that have this name; None where there is none."""
        found = self.values.get(name)
        return max(found.values()) if found else None


def samples(page: str, media_type: str, at: float, wanted: tuple[str, ...] = ("",)) -> Samples:
    """The page's numbers whose names begin with one of `wanted`. Raises Unreadable."""
    read = read_openmetrics if "openmetrics" in media_type else read_text
    values: dict[str, dict[Labels, float]] = {}
    try:
        for family in read(_less(page, wanted)):
            for sample in family.samples:
                values.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise Unreadable("what comes is no page of metrics") from error
    if not values:
        raise Unreadable("what comes holds none of the metrics that are looked at")
    return Samples(at, values)


def _less(page: str, wanted: tuple[str, ...]) -> str:
    """Without what is not wanted, and without exemplars: to read a line costs much more than to skip it."""
    comments = tuple(f"# TYPE {name}" for name in wanted)
    kept = [
        _EXEMPLAR.sub("", line)
        for line in page.splitlines()
        if line.startswith((*wanted, *comments, _END)) and _CREATED not in line.partition("{")[0]
    ]
    return "\n".join(kept) + "\n"


@dataclass(frozen=True, slots=True)
class Between:
    """What has been counted from one page to a later one of the same service."""

    before: Samples
    after: Samples

    @property
    def seconds(self) -> float:
        """How long that was."""
        return self.after.at - self.before.at

    def grown(self, name: str) -> Iterator[tuple[Mapping[str, str], float]]:
        """By how much each series grew, with its labels; what began anew counts from nought."""
        earlier = self.before.values.get(name, {})
        for labels, value in self.after.values.get(name, {}).items():
            former = earlier.get(labels, 0.0)
            yield dict(labels), value - former if value >= former else value

    def by(self, name: str, label: str) -> dict[str, float]:
        """The growth of a name by the values of one label, without those that did not grow."""
        found: dict[str, float] = {}
        for labels, grown in self.grown(name):
            if grown:
                value = labels.get(label, "")
                found[value] = found.get(value, 0.0) + grown
        return found

    def quantile(self, share: float, name: str, **labels: str) -> float | None:
        """The value below which `share` of a histogram's new values are; None where there are none.

        It is as exact as the buckets are narrow; math.inf where it is above the last of them.
        """
        counts: dict[float, float] = {}
        for own, grown in self.grown(f"{name}_bucket"):
            if labels.items() <= own.items():
                bound = float(own["le"])
                counts[bound] = counts.get(bound, 0.0) + grown
        return _quantile(share, sorted(counts.items()))


def _quantile(share: float, cumulated: list[tuple[float, float]]) -> float | None:
    total = cumulated[-1][1] if cumulated else 0.0
    if not total:
        return None
    wanted, lower, passed = share * total, 0.0, 0.0
    for bound, count in cumulated:
        if count >= wanted and count > passed:
            if math.isinf(bound):
                return math.inf
            return lower + (bound - lower) * (wanted - passed) / (count - passed)
        lower, passed = bound, count
    return None
