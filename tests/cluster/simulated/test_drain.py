"""Nodes drained one after the other, and a zone lost, while every component keeps a pod that is ready."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.cluster.chart import Chart
from tests.support.cluster.control_plane import Cluster
from tests.support.cluster.readiness import ReadinessWatch
from tests.support.cluster.release import Release
from tests.support.cluster.surroundings import apply_overlay, create_secrets
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("simulated cluster")

NODES = ("node-0", "node-1", "node-2")
LOST = "node-2"
SECRETS = ("rag-qdrant", "rag-redis-ca", "rag-test-token", "vault-ca")
# With three pods each; the collector has one, and telemetry may pause.
COMPONENTS = {"gateway", "embedder", "retriever", "generator", "ingestor", "edge", "qdrant"}


@pytest.fixture(scope="module")
def release(cluster: Cluster, chart: Chart, quick: list[str]) -> Iterator[Release]:
    """A region in production, with all its pods ready."""
    namespace = apply_overlay(cluster, "production", "rag-drained")
    create_secrets(cluster, namespace, SECRETS)
    release = Release(cluster, chart, namespace)
    release.install(*chart.values("values-production.yaml", "regions/eu-central-1.yaml"), *quick)
    wait_until(
        lambda: pods_on(release, *NODES) == 22 and release.is_complete(), "all pods are ready"
    )
    yield release
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def lost_zone(cluster: Cluster) -> Iterator[str]:
    """A node that is gone with its zone: nothing on it runs on, as its administrator has confirmed."""
    taint = "node.kubernetes.io/out-of-service=zone-lost:NoExecute"
    cluster.kubectl("taint", "node", LOST, taint)
    yield LOST
    cluster.kubectl("taint", "node", LOST, f"{taint}-")


def pods_on(release: Release, *nodes: str) -> int:
    return sum(pod["spec"].get("nodeName") in nodes for pod in release.pods())


def drain(release: Release, nodes: Sequence[str], log: Path) -> None:
    """Drain each of the nodes and take it back; no component is without a ready pod at any moment."""
    cluster = release.cluster
    words = ["--delete-emptydir-data", "--grace-period=1", "--timeout=90s"]
    with ReadinessWatch(cluster, release.namespace, release.name, log) as watch:
        for node in nodes:
            cluster.kubectl("drain", node, *words)
            assert pods_on(release, node) == 0
            cluster.kubectl("uncordon", node)
        wait_until(release.is_complete, "all pods are ready")
    fewest = watch.fewest()
    assert min(fewest[name] for name in COMPONENTS) >= 1, fewest


def test_three_nodes_are_drained_one_after_the_other(release: Release, tmp_path: Path) -> None:
    drain(release, NODES, tmp_path / "watch")


def test_a_zone_lost_and_then_the_other_two_nodes_drained(
    release: Release, lost_zone: str, tmp_path: Path
) -> None:
    wait_until(lambda: pods_on(release, lost_zone) == 0, "nothing is left in the zone", 90)
    wait_until(release.is_complete, "all pods are ready in the other zones")
    drain(release, [node for node in NODES if node != lost_zone], tmp_path / "watch")
