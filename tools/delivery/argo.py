"""Write helm/rag/files/canary-metrics.yaml: the canary's checks as metrics of Argo Rollouts' AnalysisTemplate.

One metric compares both lanes in one expression, by the queries of `rag_delivery.queries`. Its result is empty
without enough calls in either lane: then neither condition holds, and the measurement is inconclusive. --check
only says whether the file is stale.
"""

import sys
from collections.abc import Iterator
from typing import Any

import yaml

from rag_delivery.analysis import call_checks
from rag_delivery.checks import LatencyCheck, ProportionCheck
from rag_delivery.config import CanaryConfig
from rag_delivery.queries import BASELINE, CANARY, QUERIES
from tools import ROOT
from tools.generated import write_or_check

FILE = ROOT / "helm" / "rag" / "files" / "canary-metrics.yaml"
WINDOW = "{{args.window}}"
HEAD = """\
# Generated from rag_delivery by `make settings`: metrics of an AnalysisTemplate (Argo Rollouts).
# The argument `window` is a duration, such as 5m. The lanes are told apart by the label `lane` of the pods,
# which `canaryMetadata` and `stableMetadata` of the Rollout set to `canary` and `baseline`.
"""


def main() -> int:
    return write_or_check({FILE: text()}, "make settings")


def text() -> str:
    """The file's content."""
    return HEAD + yaml.safe_dump({"metrics": list(metrics())}, sort_keys=False, width=100_000)


def metrics() -> Iterator[dict[str, Any]]:
    """All metrics, without a provider's address and an interval, which the chart adds."""
    config = CanaryConfig()
    for check in call_checks(config):
        yield _metric(check, config)
    yield {
        "name": "restarts",
        "query": f"sum({_filled('restarts', CANARY)}) - sum({_filled('restarts', BASELINE)})",
        **_conditions(0),
        "failureLimit": config.failures["restarts"] - 1,
    }


def _metric(check: LatencyCheck | ProportionCheck, config: CanaryConfig) -> dict[str, Any]:
    limit = config.latency_ratio
    if isinstance(check, ProportionCheck):
        limit = check.limits.tolerance
    return {
        "name": check.name.replace("_", "-"),
        "query": _query(check, config.latency_samples),
        **_conditions(limit),
        "failureLimit": config.failures.get(check.name, 2) - 1,
    }


def _query(check: LatencyCheck | ProportionCheck, samples: int) -> str:
    if isinstance(check, LatencyCheck):
        canary, baseline = (
            f"({_filled(check.percentile, lane)} and {_filled(check.total, lane)} >= {samples})"
            for lane in (CANARY, BASELINE)
        )
        return f"max(({canary} - {check.seconds}) / ignoring (lane) {baseline})"
    canary, baseline = (_share(check, lane, samples) for lane in (CANARY, BASELINE))
    return f"max({canary} - ignoring (lane) {baseline})"


def _share(check: ProportionCheck, lane: str, samples: int) -> str:
    bad, total = _filled(check.bad, lane), _filled(check.total, lane)
    return f"(({bad} or 0 * {total}) / ({total} >= {samples}))"


def _filled(name: str, lane: str) -> str:
    return QUERIES[name].filled(WINDOW, lane)


def _conditions(limit: float) -> dict[str, str]:
    known = "len(result) > 0 && !isNaN(result[0])"
    return {
        "successCondition": f"{known} && result[0] <= {limit}",
        "failureCondition": f"{known} && result[0] > {limit}",
    }


if __name__ == "__main__":
    sys.exit(main())
