"""The shares of calls that the lanes get, as the edge reads them."""

import json

from rag_common.http.pages import Page
from rag_delivery.metrics import CanaryMetrics
from rag_delivery.queries import BASELINE, CANARY

STABLE = "stable"
# Weights are of so many; Envoy knows whole numbers only.
TOTAL = 10_000


class Lanes:
    """The current weights; all calls are stable's at first.

    An edge asks for them every second, and gives all calls to stable if it gets no answer.
    """

    def __init__(self, metrics: CanaryMetrics) -> None:
        self._metrics = metrics
        self.weights: dict[str, int] = {}
        self.set_share(0)

    def set_share(self, percent: float) -> None:
        """Give each of baseline and canary `percent` of all calls, at most 50."""
        weight = round(percent * TOTAL / 100)
        self.weights = {STABLE: TOTAL - 2 * weight, BASELINE: weight, CANARY: weight}
        for lane, value in self.weights.items():
            self._metrics.weight.labels(lane).set(value / TOTAL)

    async def page(self) -> Page:
        """`{"total": 10000, "weights": {"stable": …, "baseline": …, "canary": …}}`."""
        return Page(json.dumps({"total": TOTAL, "weights": self.weights}).encode())
