"""What a run of k6 measured."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Milliseconds by nearest rank, and of how many calls; NaN if there was none."""

    count: int = 0
    p50: float = math.nan
    p95: float = math.nan
    p99: float = math.nan

    @classmethod
    def of(cls, values: Sequence[float]) -> "Percentiles":
        """Of these milliseconds, of which there is at least one."""
        ordered = sorted(values)
        ranks = (max(math.ceil(share * len(ordered)), 1) - 1 for share in (0.50, 0.95, 0.99))
        return cls(len(ordered), *(ordered[rank] for rank in ranks))


@dataclass(frozen=True, slots=True)
class Result:
    """Duration in seconds, counters and percentiles by name; `latency` is that of successful calls."""

    seconds: float
    counts: Mapping[str, int]
    trends: Mapping[str, Percentiles]

    @property
    def latency(self) -> Percentiles:
        return self.trend("latency")

    @property
    def rate(self) -> float:
        """Successful calls a second."""
        return self.latency.count / self.seconds

    @property
    def errors(self) -> int:
        return self.counts.get("errors", 0)

    @property
    def passage_rate(self) -> float:
        """Passages written a second."""
        return self.counts["passages"] / self.seconds

    def trend(self, name: str) -> Percentiles:
        return self.trends.get(name, Percentiles())
