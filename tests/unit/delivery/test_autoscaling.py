"""The chart's autoscaling rules, replayed against arrivals: no flapping, and queues that drain in time."""

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.delivery.autoscaler import Autoscaler, Moment, Pods, replay, reversals

VALUES = Path(__file__).resolve().parents[3] / "helm" / "rag" / "values.yaml"
COMPONENTS: dict[str, Any] = yaml.safe_load(VALUES.read_text("utf-8"))["components"]
# Assumptions about a pod: a call's seconds, how many at once, and its start from creation to ready.
PODS = {
    "gateway": Pods(0.1, 40, 15),
    "embedder": Pods(0.04, 8, 45),
    "retriever": Pods(0.02, 32, 20),
    "generator": Pods(4.0, 16, 15),
    "ingestor": Pods(2.0, 8, 15),
}
MINUTE, HOUR = 60, 3600
Arrivals = Callable[[int], float]


def capacity(name: str, replicas: float) -> float:
    """Calls a second that keep so many pods of the component at the rule's target."""
    target = float(COMPONENTS[name]["autoscaling"]["metric"]["target"])
    return replicas * target / PODS[name].call_seconds


def run(name: str, arrivals: Arrivals, seconds: int, **changed: Any) -> list[Moment]:
    values = {**COMPONENTS[name]["autoscaling"], **changed}
    scaler = Autoscaler({**values, "enabled": True})
    return list(replay(scaler, PODS[name], arrivals, seconds, lambda in_flight, _: in_flight))


def noisy(rate: float, seed: int = 1) -> Arrivals:
    """Arrivals of a Poisson process, second by second, by its normal approximation."""
    chance = random.Random(seed)
    drawn = [max(chance.gauss(rate, math.sqrt(rate)), 0.0) for _ in range(3 * HOUR)]
    return lambda now: drawn[now]


def step(name: str, before: float, after: float, at: int) -> Arrivals:
    return lambda now: capacity(name, before if now < at else after)


@pytest.fixture(params=sorted(PODS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_rule_asks_for_what_pods_can_do(name: str) -> None:
    rule = COMPONENTS[name]["autoscaling"]
    assert rule["metric"]["type"] == "AverageValue"
    assert 0.3 <= float(rule["metric"]["target"]) / PODS[name].slots <= 0.7
    assert rule["minReplicas"] >= 2


@pytest.mark.parametrize("replicas", [2, 3.3, 5, 7.5])
def test_a_steady_load_with_noise_settles_without_turning_back(name: str, replicas: float) -> None:
    moments = run(name, noisy(capacity(name, replicas)), 2 * HOUR)
    settled = [moment.replicas for moment in moments[20 * MINUTE :]]
    assert max(settled) - min(settled) <= 1 + round(0.3 * replicas)
    assert reversals(moments, 10 * MINUTE) <= 1
    assert max(moment.wait for moment in moments[20 * MINUTE :]) < 1


def test_a_step_to_three_times_the_load_is_absorbed_within_three_minutes(name: str) -> None:
    begun = 10 * MINUTE
    moments = run(name, step(name, 2, 6, begun), HOUR)
    late = [now for now, moment in enumerate(moments) if moment.wait > 0.1]
    assert not late or (late[0] >= begun and late[-1] < begun + 3 * MINUTE)
    assert moments[begun + 3 * MINUTE].ready >= 6
    # What had queued adds pods which go again later.
    assert reversals(moments, HOUR) <= 1


def test_a_ramp_over_ten_minutes_never_makes_calls_wait(name: str) -> None:
    def ramp(now: int) -> float:
        return capacity(name, 2 + 6 * min(now / (10 * MINUTE), 1))

    moments = run(name, ramp, HOUR)
    assert max(moment.wait for moment in moments) == 0
    assert reversals(moments, HOUR) == 0


def test_the_course_of_a_day_turns_once_up_and_once_down_in_each_hour(name: str) -> None:
    def wave(now: int) -> float:
        return capacity(name, 5 - 3 * math.cos(2 * math.pi * now / HOUR))

    moments = run(name, wave, 3 * HOUR)
    assert max(moment.wait for moment in moments) == 0
    assert reversals(moments, 10 * MINUTE) == 0
    assert reversals(moments, 3 * HOUR) <= 6


def test_a_spike_of_a_minute_leaves_no_swing_behind(name: str) -> None:
    begun, end = 10 * MINUTE, 11 * MINUTE

    def spike(now: int) -> float:
        return capacity(name, 8 if begun <= now < end else 2)

    moments = run(name, spike, HOUR)
    assert max(moment.wait for moment in moments[end + 2 * MINUTE :]) == 0
    assert reversals(moments, HOUR) == 1
    assert moments[-1].replicas == COMPONENTS[name]["autoscaling"]["minReplicas"]


def test_pods_go_slowly_and_all_surplus_ones_within_half_an_hour(name: str) -> None:
    begun = 20 * MINUTE
    moments = run(name, step(name, 8, 1, begun), HOUR)
    counts = [moment.replicas for moment in moments]
    assert counts[begun - 1] >= 8
    # Five minutes may be a pause; then a quarter a minute at most, or one pod.
    assert counts[begun : begun + 5 * MINUTE] == [counts[begun]] * 5 * MINUTE
    for now in range(begun, len(counts) - MINUTE):
        assert counts[now] - counts[now + MINUTE] <= max(math.ceil(counts[now] / 4), 1)
    assert counts[begun + 30 * MINUTE] == COMPONENTS[name]["autoscaling"]["minReplicas"]


def test_more_than_the_maximum_is_never_asked_for(name: str) -> None:
    moments = run(name, step(name, 2, 100, MINUTE), 20 * MINUTE)
    most = COMPONENTS[name]["autoscaling"]["maxReplicas"]
    assert max(moment.replicas for moment in moments) == most


def test_a_queue_s_age_as_the_embedder_s_metric_would_flap() -> None:
    """Below its capacity a queue is empty whatever the load: the age takes pods away until calls wait.

    Calls in flight are arrivals times the time of a call, its wait included (Little's law).
    """
    values = COMPONENTS["embedder"]["autoscaling"]
    by_age = {**values, "metric": {"type": "Value", "target": "500m"}}
    steady = capacity("embedder", 5)
    moments = replay(
        Autoscaler(by_age), PODS["embedder"], lambda _: steady, 3 * HOUR, lambda _, wait: wait
    )
    settled = moments[HOUR:]
    assert reversals(settled, 15 * MINUTE) >= 4
    assert max(moment.wait for moment in settled) > 1
    in_flight = run("embedder", lambda _: steady, 3 * HOUR)
    assert reversals(in_flight[HOUR:], 3 * HOUR) == 0
    assert max(moment.wait for moment in in_flight[10 * MINUTE :]) == 0
