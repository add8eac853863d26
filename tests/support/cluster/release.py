"""A release of the chart in a cluster: installed, upgraded, rolled back and removed by helm."""

from dataclasses import dataclass
from typing import Any

from tests.support.cluster.chart import Chart
from tests.support.cluster.control_plane import Cluster

_WORKLOADS = "deployments,statefulsets"
# Nobody calls simulated pods: no DNS needs time to know a new one.
_QUICK = ("--set", "minReadySeconds=1")


@dataclass(frozen=True)
class Release:
    """One release; `words` are further arguments of helm."""

    cluster: Cluster
    chart: Chart
    namespace: str
    name: str = "rag"

    def install(self, *words: str, seconds: int = 120) -> str:
        """Install it, and return when its pods are ready."""
        return self.helm("install", str(self.chart.folder), *_QUICK, *_waiting(seconds), *words)

    def upgrade(self, *words: str, seconds: int = 120) -> str:
        """Upgrade it, and return when its new pods are ready."""
        return self.helm("upgrade", str(self.chart.folder), *_QUICK, *_waiting(seconds), *words)

    def rollback(self, revision: int, seconds: int = 120) -> str:
        """Return to a revision, and return when its pods are ready."""
        return self.helm("rollback", str(revision), *_waiting(seconds))

    def uninstall(self, seconds: int = 120) -> None:
        """Remove it, and end its pods; simulated ones take a random part of their grace period."""
        self.helm("uninstall", *_waiting(seconds))
        words = ["--namespace", self.namespace, "--selector", self.selector, "--grace-period=1"]
        self.cluster.kubectl("delete", "pods", *words)

    def helm(self, action: str, *words: str) -> str:
        """Run `helm ACTION` for this release."""
        return self.cluster.helm(action, self.name, *words, "--namespace", self.namespace)

    def workloads(self) -> list[dict[str, Any]]:
        """Its Deployments and StatefulSets, of Qdrant's chart as well."""
        return self.cluster.items(_WORKLOADS, self.namespace, self.selector)

    def pods(self) -> list[dict[str, Any]]:
        """Its pods, those that are ending as well."""
        return self.cluster.items("pods", self.namespace, self.selector)

    @property
    def selector(self) -> str:
        return f"app.kubernetes.io/instance={self.name}"

    def is_complete(self) -> bool:
        """Whether every workload has all the pods that it wants, of its current template and ready."""
        return all(_complete(one) for one in self.workloads())


def _waiting(seconds: int) -> list[str]:
    return ["--wait", "--timeout", f"{seconds}s"]


def _complete(workload: dict[str, Any]) -> bool:
    wanted, status = workload["spec"]["replicas"], workload["status"]
    counts = {status.get(name, 0) for name in ("replicas", "readyReplicas", "updatedReplicas")}
    return counts == {wanted} and status["observedGeneration"] == workload["metadata"]["generation"]
