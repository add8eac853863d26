"""What the checks say about readings: pass, fail, and nothing where too little is known."""

import math

import pytest

from rag_delivery.checks import LatencyCheck, Limits, ProportionCheck, ReadyCheck, RestartCheck
from rag_delivery.verdicts import Readings, Verdict

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
FAILED = ProportionCheck("failed", "bad", "total", Limits(0.005, 0.03, disaster=0.2))
SLOW = LatencyCheck("slow", "p95", "total", samples=100, ratio=1.5, seconds=0.02)


def lanes(canary: float, baseline: float, subject: str = "") -> dict[tuple[str, str], float]:
    return {("canary", subject): canary, ("baseline", subject): baseline}


def counted(canary: tuple[float, float], baseline: tuple[float, float]) -> Readings:
    return {
        "bad": lanes(canary[0], baseline[0]),
        "total": lanes(canary[1], baseline[1]),
    }


@pytest.mark.parametrize(
    ("canary", "baseline", "verdict", "disaster"),
    [
        ((0, 1000), (0, 1000), PASS, False),
        ((2, 2000), (1, 2000), PASS, False),
        ((30, 1000), (0, 1000), FAIL, False),
        # What fails in both lanes is no fault of the release.
        ((300, 1000), (300, 1000), INCONCLUSIVE, False),
        ((9000, 10_000), (9010, 10_000), PASS, False),
        # A tenth of the calls is certain sooner than a fiftieth.
        ((2, 20), (0, 20), INCONCLUSIVE, False),
        ((40, 200), (0, 200), FAIL, False),
        ((10, 10), (0, 10), FAIL, True),
        ((1000, 1000), (0, 1000), FAIL, True),
        # Three calls prove nothing.
        ((3, 3), (0, 3), INCONCLUSIVE, False),
        ((0, 50), (0, 50), INCONCLUSIVE, False),
        ((0, 0), (0, 1000), INCONCLUSIVE, False),
        ((500, 1000), (0, 0), INCONCLUSIVE, False),
        ((math.nan, 1000), (0, 1000), INCONCLUSIVE, False),
        ((0, 1000), (0, math.nan), INCONCLUSIVE, False),
    ],
)
def test_a_share_is_compared_with_the_baseline_s(
    canary: tuple[float, float],
    baseline: tuple[float, float],
    verdict: Verdict,
    disaster: bool,
) -> None:
    [judgement] = FAILED.judge(counted(canary, baseline))
    assert (judgement.verdict, judgement.disaster) == (verdict, disaster)


def test_no_bad_event_has_no_sample_and_counts_as_none() -> None:
    [judgement] = FAILED.judge({"bad": {}, "total": lanes(1000, 1000)})
    assert judgement.verdict is PASS


def test_an_empty_result_is_inconclusive() -> None:
    empty: Readings = {"bad": {}, "total": {}, "p95": {}, "restarts": {}, "ready": {}, "up": {}}
    for check in (FAILED, SLOW, RestartCheck(), ReadyCheck()):
        assert [one.verdict for one in check.judge(empty)] == [INCONCLUSIVE]


def test_each_method_is_judged_for_itself() -> None:
    total = lanes(1000, 1000, "gateway Search") | lanes(1000, 1000, "gateway Answer")
    bad = lanes(100, 0, "gateway Answer")
    judgements = FAILED.judge({"bad": bad, "total": total})
    assert {one.subject: one.verdict for one in judgements} == {
        "gateway Search": PASS,
        "gateway Answer": FAIL,
    }


@pytest.mark.parametrize(
    ("canary", "baseline", "calls", "verdict"),
    [
        (0.10, 0.10, 1000, PASS),
        (0.16, 0.10, 1000, PASS),
        (0.18, 0.10, 1000, FAIL),
        # Twice as slow, by less than a bucket is wide.
        (0.012, 0.006, 1000, PASS),
        (0.18, 0.10, 99, INCONCLUSIVE),
        (math.nan, 0.10, 1000, INCONCLUSIVE),
        (0.10, math.nan, 1000, INCONCLUSIVE),
        (math.inf, 0.10, 1000, INCONCLUSIVE),
    ],
)
def test_a_percentile_is_compared_with_the_baseline_s(
    canary: float, baseline: float, calls: float, verdict: Verdict
) -> None:
    readings = {"p95": lanes(canary, baseline), "total": lanes(calls, calls)}
    assert [one.verdict for one in SLOW.judge(readings)] == [verdict]


@pytest.mark.parametrize(
    ("canary", "baseline", "verdict"),
    [(0, 0, PASS), (1, 0, FAIL), (1, 1, PASS), (math.nan, 0, INCONCLUSIVE)],
)
def test_the_canary_may_not_restart_more_often(
    canary: float, baseline: float, verdict: Verdict
) -> None:
    readings = {"restarts": lanes(canary, baseline)}
    assert [one.verdict for one in RestartCheck().judge(readings)] == [verdict]


@pytest.mark.parametrize(
    ("ready", "up", "verdict"),
    [
        (lanes(1, 1, "gateway"), lanes(1, 1, "gateway"), PASS),
        (lanes(0, 1, "gateway"), lanes(1, 1, "gateway"), FAIL),
        (lanes(1, 1, "gateway"), lanes(0, 1, "gateway"), FAIL),
        (lanes(1, 0, "gateway"), lanes(1, 1, "gateway"), INCONCLUSIVE),
        # A service that only the baseline has, and one that cannot be scraped at all.
        ({("baseline", "gateway"): 1.0}, {("baseline", "gateway"): 1.0}, FAIL),
        ({}, lanes(0, 1, "gateway"), FAIL),
    ],
)
def test_each_service_of_the_canary_must_serve(
    ready: dict[tuple[str, str], float], up: dict[tuple[str, str], float], verdict: Verdict
) -> None:
    assert [one.verdict for one in ReadyCheck().judge({"ready": ready, "up": up})] == [verdict]
