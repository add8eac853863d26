"""What Prometheus has seen over a time, as lines to draw."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rag_local.processes import StartFailed
from rag_local.prometheus import Prometheus

_STEP = 2.0


@dataclass(frozen=True, slots=True)
class Line:
    """One series: its label, seconds since the beginning, and values (not a number where there is none)."""

    label: str
    seconds: Sequence[float]
    values: Sequence[float]


class Ranges:
    """Asks a Prometheus about one stretch of time, from `began` to `ended` in seconds since 1970."""

    def __init__(self, url: str, home: Path, began: float, ended: float) -> None:
        self._prometheus = Prometheus(url, home / "prometheus")
        self.began = began
        self.ended = ended

    def lines(self, expression: str, legend: str) -> list[Line]:
        """The series of an expression, labelled by `legend`, in which `{name}` is a label's value.

        Raises StartFailed where there is none, so that no picture is empty.
        """
        found = self._prometheus.ask(
            "query_range", query=expression, start=self.began, end=self.ended, step=_STEP
        )["result"]
        if not found:
            raise StartFailed(f"Prometheus has nothing for {expression}")
        return sorted(
            (self._line(legend.format(**one["metric"]), one["values"]) for one in found),
            key=lambda line: line.label,
        )

    def _line(self, label: str, values: Sequence[tuple[float, str]]) -> Line:
        """On the same steps as all others, so that lines can be stacked."""
        known = {round((moment - self.began) / _STEP): float(value) for moment, value in values}
        steps = range(int((self.ended - self.began) / _STEP) + 1)
        return Line(label, [at * _STEP for at in steps], [known.get(at, math.nan) for at in steps])
