"""What a tenant with one caller feels of another with many."""

from collections.abc import Mapping, Sequence
from statistics import mean

from tools.bench.load import Way, background, fill, load
from tools.bench.result import Result
from tools.bench.turns import PASSAGES, in_turns

RIVALS = (0, 2, 8, 64, 256)
# The rival that just keeps both cores busy: the others are compared with it.
EQUAL = 2
ROUNDS = 2
# The rival's callers would not be on this machine: they give way to everything that would.
_RIVAL_NICE = 10

# The modest tenant's calls, and the rival's.
_Round = tuple[Result, Result | None]


def fairness_rows(modest: Way, rival: Way, seconds: float) -> list[Mapping[str, object]]:
    """A row for each of the rivals, which are measured in turns; the first is without one."""
    for way in (modest, rival):
        fill(way, PASSAGES)
    rounds = in_turns(RIVALS, lambda callers: _round(modest, rival, callers, seconds), ROUNDS)
    p95 = [_latency(each, "p95") for each in rounds]
    return [
        {
            "rival's callers": callers,
            **{f"{name} ms": _latency(each, name) for name in ("p50", "p95", "p99")},
            "p95 to alone": f"{own / p95[0]:.2f}",
            "p95 to a fair rival": f"{own / p95[RIVALS.index(EQUAL)]:.2f}",
            "searches/s": mean(result.rate for result, _ in each),
            "rival's searches/s": mean(other.rate if other else 0.0 for _, other in each),
            "errors": sum(result.errors for pair in each for result in pair if result),
        }
        for callers, each, own in zip(RIVALS, rounds, p95, strict=True)
    ]


def _latency(rounds: Sequence[_Round], percentile: str) -> float:
    """The modest tenant's, as the mean of the rounds' percentiles."""
    values: list[float] = [getattr(result.latency, percentile) for result, _ in rounds]
    return mean(values)


def _round(modest: Way, rival: Way, callers: int, seconds: float) -> _Round:
    if not callers:
        return load("search", modest, 1, seconds), None
    with background("search", rival, callers, _RIVAL_NICE) as stop:
        return load("search", modest, 1, seconds), stop()
