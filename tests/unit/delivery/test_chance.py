"""How often chance alone rolls a good release back, and how soon a bad one is found: simulated calls."""

import numpy as np
import pytest

from rag_delivery.analysis import call_checks
from rag_delivery.config import CanaryConfig
from rag_delivery.verdicts import Verdict

[CHECK] = [one for one in call_checks(CanaryConfig()) if one.name == "failed_calls"]
INTERVAL, RELEASES = 10, 100


def failed_after(
    chance: np.random.Generator, canary: float, baseline: float, calls: float, seconds: int
) -> float:
    """Seconds until two judgements in a row, or a disaster, end a step; infinity if none does.

    `calls` is what each lane gets in a second, of which these shares fail.
    """
    bad, total, row = [0, 0], [0, 0], 0
    for now in range(INTERVAL, seconds + 1, INTERVAL):
        for lane, share in enumerate((canary, baseline)):
            arrived = int(chance.poisson(calls * INTERVAL))
            total[lane] += arrived
            bad[lane] += int(chance.binomial(arrived, share))
        counts = {
            name: {("canary", ""): float(values[0]), ("baseline", ""): float(values[1])}
            for name, values in (("calls_failed", bad), ("calls", total))
        }
        [judgement] = CHECK.judge(counts)
        row = row + 1 if judgement.verdict is Verdict.FAIL else 0
        if row == 2 or judgement.disaster:
            return now
    return float("inf")


def simulated(canary: float, baseline: float, calls: float, seconds: int) -> list[float]:
    chance = np.random.default_rng(7)
    return [failed_after(chance, canary, baseline, calls, seconds) for _ in range(RELEASES)]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.05])
@pytest.mark.parametrize("calls", [2.5, 12.5])
def test_a_release_like_its_baseline_is_rolled_back_in_two_of_a_hundred_at_most(
    share: float, calls: float
) -> None:
    ended = simulated(share, share, calls, 600)
    assert sum(seconds < 600 for seconds in ended) <= 2


def test_a_twentieth_of_failed_calls_is_found_within_two_minutes_of_the_second_step() -> None:
    assert np.median(simulated(0.05, 0.0, 2.5, 600)) <= 120


def test_a_release_that_fails_all_its_first_calls_is_found_within_two_minutes() -> None:
    """At 50 calls a second, one in 200 of which each lane gets."""
    ended = simulated(1.0, 0.0, 0.25, 300)
    assert np.median(ended) <= 60
    assert max(ended) <= 110
