"""The decisions of Kubernetes' HorizontalPodAutoscaler (autoscaling/v2) for one external metric.

https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/ describes them ("Algorithm details",
"Configurable scaling behavior"); `pkg/controller/podautoscaler/horizontal.go` and `replica_calculator.go` of
Kubernetes have the details.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

SYNC_SECONDS = 15
TOLERANCE = 0.1
# What Kubernetes does without a behaviour of one's own.
_DEFAULTS: Mapping[str, Any] = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [
            {"type": "Percent", "value": 100, "periodSeconds": 15},
            {"type": "Pods", "value": 4, "periodSeconds": 15},
        ],
    },
    "scaleDown": {
        "stabilizationWindowSeconds": 300,
        "selectPolicy": "Max",
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
    },
}


def quantity(text: str | float) -> float:
    """A quantity such as 500m as a number."""
    written = str(text)
    return float(written[:-1]) / 1000 if written.endswith("m") else float(written)


@dataclass
class Autoscaler:
    """An autoscaler of the chart's values: `components.NAME.autoscaling`."""

    values: Mapping[str, Any]
    _recommended: list[tuple[float, int]] = field(default_factory=list)
    _changes: list[tuple[float, int]] = field(default_factory=list)

    def decide(self, now: float, replicas: int, metric: float) -> int:
        """The number of replicas at a time in seconds, by the metric's present value."""
        self._recommended.append((now, self._recommend(replicas, metric)))
        desired = self._limited(now, replicas, self._stabilized(now, replicas))
        if desired != replicas:
            self._changes.append((now, desired - replicas))
        return desired

    def _recommend(self, replicas: int, metric: float) -> int:
        rule = self.values["metric"]
        target = quantity(rule["target"])
        average = rule["type"] == "AverageValue"
        ratio = metric / (target * replicas) if average else metric / target
        if abs(ratio - 1) <= TOLERANCE:
            desired = replicas
        else:
            desired = math.ceil(metric / target) if average else math.ceil(replicas * ratio)
        return min(max(desired, self.values["minReplicas"]), self.values["maxReplicas"])

    def _stabilized(self, now: float, replicas: int) -> int:
        """Up to the lowest, and down to the highest recommendation of the window."""
        up = min(self._recent(now, "scaleUp"))
        down = max(self._recent(now, "scaleDown"))
        return up if replicas < up else down if replicas > down else replicas

    def _recent(self, now: float, direction: str) -> list[int]:
        window = self._rules(direction)["stabilizationWindowSeconds"]
        return [count for at, count in self._recommended if at >= now - window]

    def _limited(self, now: float, replicas: int, desired: int) -> int:
        if desired > replicas:
            return min(desired, self._limit(now, replicas, "scaleUp", _grown))
        if desired < replicas:
            return max(desired, self._limit(now, replicas, "scaleDown", _shrunk))
        return desired

    def _limit(
        self, now: float, replicas: int, direction: str, apply: Callable[[int, Any], int]
    ) -> int:
        """How far the policies allow to go, from what there was when their period began."""
        rules = self._rules(direction)
        limits = [
            apply(replicas - self._changed(now, policy["periodSeconds"]), policy)
            for policy in rules["policies"]
        ]
        widest, narrowest = (max, min) if direction == "scaleUp" else (min, max)
        return (widest if rules["selectPolicy"] == "Max" else narrowest)(limits)

    def _changed(self, now: float, seconds: float) -> int:
        return sum(change for at, change in self._changes if at > now - seconds)

    def _rules(self, direction: str) -> Mapping[str, Any]:
        return {**_DEFAULTS[direction], **self.values["behavior"].get(direction, {})}


def _grown(replicas: int, policy: Mapping[str, Any]) -> int:
    if policy["type"] == "Pods":
        return replicas + int(policy["value"])
    return math.ceil(replicas * (1 + policy["value"] / 100))


def _shrunk(replicas: int, policy: Mapping[str, Any]) -> int:
    if policy["type"] == "Pods":
        return replicas - int(policy["value"])
    return int(replicas * (1 - policy["value"] / 100))


@dataclass(frozen=True)
class Pods:
    """A component: seconds of a call without a queue, calls that a pod serves at once, seconds to start."""

    call_seconds: float
    slots: int
    start_seconds: float


@dataclass(frozen=True)
class Moment:
    """A second of a replay; `wait` is that of a call which arrives, in seconds."""

    replicas: int
    ready: int
    wait: float


def replay(
    scaler: Autoscaler,
    pods: Pods,
    arrivals: Callable[[int], float],
    seconds: int,
    measure: Callable[[float, float], float],
) -> Sequence[Moment]:
    """Serve `arrivals` (calls a second) for so many seconds, and scale every 15 seconds.

    Work flows like a liquid: what exceeds the slots of ready pods waits. The autoscaler sees
    `measure(calls in flight, wait in seconds)` of one scrape ago, 15 seconds.
    """
    replicas = scaler.values["minReplicas"]
    starting: list[int] = []
    waiting, moments, measured = 0.0, [], []
    for now in range(seconds):
        ready = replicas - sum(begun > now - pods.start_seconds for begun in starting)
        capacity = ready * pods.slots / pods.call_seconds
        served = min(arrivals(now) + waiting, capacity)
        waiting += arrivals(now) - served
        wait = waiting / capacity
        measured.append(measure(served * pods.call_seconds + waiting, wait))
        moments.append(Moment(replicas, ready, wait))
        if now % SYNC_SECONDS == 0:
            desired = scaler.decide(now, replicas, measured[max(now - SYNC_SECONDS, 0)])
            starting += [now] * (desired - replicas)
            # Pods that have not started yet go first.
            starting = starting[: desired - ready] if desired < replicas else starting
            replicas = desired
    return moments


def reversals(moments: Sequence[Moment], within: int) -> int:
    """How often the number of replicas turned back within so many seconds of the last change."""
    turns, last, direction = 0, -within, 0
    for now, (before, after) in enumerate(pairwise(moments)):
        change = after.replicas - before.replicas
        if change:
            turns += change * direction < 0 and now - last <= within
            last, direction = now, change
    return turns
