"""One round of judgements: the readings of Prometheus through all checks, and the golden probe."""

from collections.abc import Sequence
from dataclasses import dataclass

from rag_delivery.checks import (
    Check,
    LatencyCheck,
    Limits,
    ProportionCheck,
    ReadyCheck,
    RestartCheck,
    queries_of,
)
from rag_delivery.config import CanaryConfig
from rag_delivery.probe import Probe
from rag_delivery.prometheus import Prometheus, PrometheusUnavailable
from rag_delivery.verdicts import Judgement, Judgements, Verdict

PROMETHEUS, READY, RESTARTS = "prometheus", "ready", "restarts"


def pod_checks() -> list[ReadyCheck | RestartCheck]:
    """What is checked before a lane gets calls, and always after."""
    return [ReadyCheck(READY), RestartCheck(RESTARTS)]


def call_checks(config: CanaryConfig) -> list[ProportionCheck | LatencyCheck]:
    """What compares the lanes by the calls that they got; their names are config.CHECKS."""
    certainty = (config.confidence, config.samples)
    faults = Limits(config.tolerance, config.margin, config.disaster, *certainty)
    answers = Limits(config.answers_tolerance, config.answers_margin, 1.0, *certainty)
    latency = (config.latency_samples, config.latency_ratio, config.latency_seconds)
    return [
        ProportionCheck("failed_calls", "calls_failed", "calls", faults),
        ProportionCheck("failed_method_calls", "method_calls_failed", "method_calls", faults),
        LatencyCheck("slow", "duration_p95", "successes", *latency),
        LatencyCheck("slow_first_token", "first_token_p95", "streams", *latency),
        ProportionCheck("no_answer", "answers_missing", "answers", answers),
        ProportionCheck("ungrounded", "answers_ungrounded", "answers", answers),
        ProportionCheck("unsupported", "answers_unsupported", "answers_rated", answers),
        ProportionCheck("broken", "answers_broken", "answers", faults),
        ProportionCheck("degraded", "responses_degraded", "responses", faults),
    ]


@dataclass(frozen=True, slots=True)
class Analysis:
    """Judges the canary by Prometheus and by the last result of the probe."""

    prometheus: Prometheus
    probe: Probe
    config: CanaryConfig

    async def judge(self, window: float, *, calls: bool) -> Judgements:
        """Judgements of the last `window` seconds; without `calls` of pods and probe alone.

        Prometheus that does not answer is a failed judgement of its own.
        """
        checks = [*pod_checks(), *(call_checks(self.config) if calls else [])]
        return [*await self._compare(checks, window), *self.probe.judge()]

    async def _compare(self, checks: Sequence[Check], window: float) -> Judgements:
        try:
            readings = await self.prometheus.read(queries_of(checks), window)
        except PrometheusUnavailable as error:
            return [Judgement(PROMETHEUS, "", Verdict.FAIL, str(error))]
        return [judgement for check in checks for judgement in check.judge(readings)]
