"""The checks of a canary against its baseline; each turns readings into judgements."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from rag_delivery.queries import BASELINE, CANARY
from rag_delivery.statistics import Count, difference
from rag_delivery.verdicts import Judgement, Judgements, Readings, Series, Verdict


@dataclass(frozen=True, slots=True)
class Limits:
    """By how much a share may be higher in the canary, at a confidence from 0 to 1.

    Fails if it is certainly higher by more than `tolerance`, at once if by more than `disaster`. Passes if
    it is certainly not higher by `margin` or more. Inconclusive below `samples` events in either lane.
    """

    tolerance: float
    margin: float
    disaster: float = 1.0
    confidence: float = 0.99
    samples: int = 10


@dataclass(frozen=True, slots=True)
class ProportionCheck:
    """Compares shares of bad events: the queries `bad` and `total` by subject."""

    name: str
    bad: str
    total: str
    limits: Limits

    @property
    def queries(self) -> tuple[str, ...]:
        """The names of the queries that the check needs."""
        return self.bad, self.total

    def judge(self, readings: Readings) -> Judgements:
        """One judgement for each subject with events, or an inconclusive one without any."""
        subjects = _subjects(readings[self.total]) or [""]
        return [self._judge(subject, readings) for subject in subjects]

    def _judge(self, subject: str, readings: Readings) -> Judgement:
        canary, baseline = (self._count(lane, subject, readings) for lane in (CANARY, BASELINE))
        apart = difference(canary, baseline, self.limits.confidence)
        reason = (
            f"canary {canary.bad:.0f} of {canary.total:.0f}, "
            f"baseline {baseline.bad:.0f} of {baseline.total:.0f}, "
            f"difference {apart.low:+.1%} to {apart.high:+.1%}"
        )
        if min(canary.total, baseline.total) < self.limits.samples:
            return Judgement(self.name, subject, Verdict.INCONCLUSIVE, reason)
        disaster = apart.low > self.limits.disaster
        return Judgement(self.name, subject, self._verdict(apart.low, apart.high), reason, disaster)

    def _verdict(self, low: float, high: float) -> Verdict:
        if low > self.limits.tolerance:
            return Verdict.FAIL
        return Verdict.PASS if high < self.limits.margin else Verdict.INCONCLUSIVE

    def _count(self, lane: str, subject: str, readings: Readings) -> Count:
        """The lane's events. No sample of bad events means 0; NaN or no sample of events, unknown."""
        total = readings[self.total].get((lane, subject), math.nan)
        bad = readings[self.bad].get((lane, subject), 0.0)
        if math.isnan(total) or math.isnan(bad):
            return Count(0.0, 0.0)
        return Count(min(bad, total), total)


@dataclass(frozen=True, slots=True)
class LatencyCheck:
    """Compares a percentile: fails if it is more than `seconds` over `ratio` times the baseline's."""

    name: str
    percentile: str
    total: str
    samples: int
    ratio: float
    seconds: float

    @property
    def queries(self) -> tuple[str, ...]:
        """The names of the queries that the check needs."""
        return self.percentile, self.total

    def judge(self, readings: Readings) -> Judgements:
        """One judgement for each subject; inconclusive below `samples` events in either lane."""
        subjects = _subjects(readings[self.total]) or [""]
        return [self._judge(subject, readings) for subject in subjects]

    def _judge(self, subject: str, readings: Readings) -> Judgement:
        series, totals = readings[self.percentile], readings[self.total]
        canary, baseline = (series.get((lane, subject), math.nan) for lane in (CANARY, BASELINE))
        counts = [totals.get((lane, subject), math.nan) for lane in (CANARY, BASELINE)]
        reason = f"canary {canary:.3f} s of {counts[0]:.0f}, baseline {baseline:.3f} s of {counts[1]:.0f}"
        known = all(count >= self.samples for count in counts) and math.isfinite(canary + baseline)
        if not known:
            return Judgement(self.name, subject, Verdict.INCONCLUSIVE, reason)
        slow = canary - self.seconds > self.ratio * baseline
        return Judgement(self.name, subject, Verdict.FAIL if slow else Verdict.PASS, reason)


@dataclass(frozen=True, slots=True)
class RestartCheck:
    """Fails if processes of the canary have restarted more often than the baseline's."""

    name: str = "restarts"
    query: str = "restarts"

    @property
    def queries(self) -> tuple[str, ...]:
        """The names of the queries that the check needs."""
        return (self.query,)

    def judge(self, readings: Readings) -> Judgements:
        """One judgement; inconclusive if a lane's start times are unknown."""
        counts = [readings[self.query].get((lane, ""), math.nan) for lane in (CANARY, BASELINE)]
        reason = f"canary {counts[0]:.0f} restarts, baseline {counts[1]:.0f}"
        if any(math.isnan(count) for count in counts):
            return [Judgement(self.name, "", Verdict.INCONCLUSIVE, reason)]
        verdict = Verdict.FAIL if counts[0] > counts[1] else Verdict.PASS
        return [Judgement(self.name, "", verdict, reason)]


@dataclass(frozen=True, slots=True)
class ReadyCheck:
    """Fails if a pod of the canary does not serve, or if a service of the baseline has none in it."""

    name: str = "ready"
    states: tuple[str, ...] = ("ready", "up")

    @property
    def queries(self) -> tuple[str, ...]:
        """The names of the queries that the check needs."""
        return self.states

    def judge(self, readings: Readings) -> Judgements:
        """One judgement for each service of either lane, or an inconclusive one without any."""
        subjects = sorted({one for state in self.states for one in _subjects(readings[state])})
        if not subjects:
            return [Judgement(self.name, "", Verdict.INCONCLUSIVE, "no pod is known")]
        return [self._judge(subject, readings) for subject in subjects]

    def _judge(self, service: str, readings: Readings) -> Judgement:
        if not self._serves(CANARY, service, readings):
            return Judgement(self.name, service, Verdict.FAIL, "canary does not serve")
        if not self._serves(BASELINE, service, readings):
            return Judgement(self.name, service, Verdict.INCONCLUSIVE, "baseline does not serve")
        return Judgement(self.name, service, Verdict.PASS, "both lanes serve")

    def _serves(self, lane: str, service: str, readings: Readings) -> bool:
        return all(readings[state].get((lane, service)) == 1 for state in self.states)


Check = ProportionCheck | LatencyCheck | RestartCheck | ReadyCheck


def _subjects(series: Series) -> list[str]:
    return sorted({subject for _, subject in series})


def queries_of(checks: Iterable[Check]) -> set[str]:
    """The names of all queries that the checks need."""
    return {name for check in checks for name in check.queries}
