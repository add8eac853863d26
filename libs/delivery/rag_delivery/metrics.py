"""The metrics of a canary's analysis."""

from rag_common.observability.metrics import Metrics
from rag_delivery.verdicts import Judgements, Verdict

STATES = ("starting", "analysing", "holding", "promoted", "rolled_back")
_VALUES = {Verdict.PASS: 1, Verdict.INCONCLUSIVE: 0, Verdict.FAIL: -1}


class CanaryMetrics:
    """Created once per process; docs/metrics.md is generated from it."""

    def __init__(self, metrics: Metrics) -> None:
        self._state = metrics.gauge(
            "rag_canary_state",
            "1 for the state of the release, else 0: starting, analysing, holding (no conclusion), "
            "promoted, rolled_back.",
            ("state",),
        )
        self.weight = metrics.gauge(
            "rag_canary_weight", "Share of calls that a lane gets, 0 to 1.", ("lane",)
        )
        self._verdict = metrics.gauge(
            "rag_canary_verdict",
            "The worst last judgement of a check: 1 pass, 0 inconclusive, -1 fail.",
            ("check",),
        )
        self._judgements = metrics.counter(
            "rag_canary_judgements", "Judgements by check and verdict.", ("check", "verdict")
        )

    def set_state(self, state: str) -> None:
        """Show the state, one of STATES."""
        for name in STATES:
            self._state.labels(name).set(name == state)

    def judged(self, judgements: Judgements) -> None:
        """Count the judgements of one round, and show each check's worst."""
        worst: dict[str, int] = {}
        for one in judgements:
            self._judgements.labels(one.check, one.verdict.value).inc()
            worst[one.check] = min(_VALUES[one.verdict], worst.get(one.check, 1))
        for check, value in worst.items():
            self._verdict.labels(check).set(value)
