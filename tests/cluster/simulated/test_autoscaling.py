"""The gateway's autoscaler, driven by a metric that the test sets."""

import json
import time
from collections.abc import Iterator

import pytest

from tests.support.cluster.chart import Chart
from tests.support.cluster.control_plane import Cluster
from tests.support.cluster.external_metrics import ExternalMetrics, external_metrics
from tests.support.cluster.release import Release
from tests.support.cluster.surroundings import apply_overlay, create_secrets
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("simulated cluster")

METRIC = "rag_rpc_server_in_flight"
TARGET = 24
# The controller looks every 15 s.
PERIOD = 15.0
UP_WINDOW, DOWN_WINDOW = 5, 25
MIN, MAX = 2, 5
# As the chart's own behavior, with shorter windows.
SCALING = {
    "enabled": True, "minReplicas": MIN, "maxReplicas": MAX,
    "behavior": {
        "scaleUp": {
            "stabilizationWindowSeconds": UP_WINDOW,
            "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": DOWN_WINDOW,
            "policies": [{"type": "Pods", "value": 2, "periodSeconds": 15}],
        },
    },
}  # fmt: skip
SECRETS = (
    "rag-redis", "rag-edge-public-tls", "rag-edge-tls", "rag-gateway-tls",
    "rag-embedder-tls", "rag-retriever-tls", "rag-generator-tls",
)  # fmt: skip


@pytest.fixture(scope="module")
def metrics(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ExternalMetrics]:
    with external_metrics(cluster, tmp_path_factory.mktemp("metrics")) as served:
        served.values[METRIC] = float(MIN * TARGET)
        yield served


@pytest.fixture(scope="module")
def release(
    cluster: Cluster,
    chart: Chart,
    quick: list[str],
    metrics: ExternalMetrics,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Release]:
    """A release whose gateway has two to five pods, and gives up what it does not need after a short window."""
    namespace = apply_overlay(cluster, "staging", "rag-scaled")
    create_secrets(cluster, namespace, SECRETS)
    release = Release(cluster, chart, namespace)
    path = tmp_path_factory.mktemp("values") / "autoscaling.json"
    path.write_text(json.dumps({"components": {"gateway": {"autoscaling": SCALING}}}))
    words = ["--values", str(path)]
    release.install(*chart.values("values-laptop.yaml"), *quick, *words)
    wait_until(lambda: wanted(release) == MIN and release.is_complete(), "the minimum is there")
    wait_until(
        lambda: conditions(release)["ScalingActive"] == "True", "the metric is read", 4 * PERIOD
    )
    yield release
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def wanted(release: Release) -> int:
    """The number of gateways that the autoscaler set."""
    words = ["get", "deployment", "rag-gateway", "--namespace", release.namespace]
    return int(release.cluster.json(*words)["spec"]["replicas"])


def conditions(release: Release) -> dict[str, str]:
    """What the autoscaler says of itself."""
    words = ["get", "horizontalpodautoscaler", "rag-gateway", "--namespace", release.namespace]
    status = release.cluster.json(*words).get("status", {})
    said = {one["type"]: one["status"] for one in status.get("conditions", [])}
    return {"ScalingActive": "Unknown"} | said


def history(release: Release, seconds: float) -> set[int]:
    """The numbers of gateways that were wanted, for some time."""
    end = time.monotonic() + seconds
    seen = set()
    while time.monotonic() < end:
        seen.add(wanted(release))
        time.sleep(1.0)
    return seen


def test_it_scales_up_to_its_maximum_and_down_after_its_window_without_flapping(
    release: Release, metrics: ExternalMetrics
) -> None:
    metrics.values[METRIC] = 40.0 * TARGET
    wait_until(lambda: wanted(release) == MAX, "the maximum is wanted", UP_WINDOW + 3 * PERIOD)
    wait_until(release.is_complete, "all gateways are ready")

    metrics.values[METRIC] = 0.0
    assert history(release, DOWN_WINDOW - PERIOD) == {MAX}
    # A load that returns within the window keeps the pods.
    metrics.values[METRIC] = 40.0 * TARGET
    assert history(release, PERIOD + 2) == {MAX}
    # So does a metric that is gone.
    del metrics.values[METRIC]
    assert history(release, PERIOD + 2) == {MAX}

    metrics.values[METRIC] = 3.0 * TARGET
    wait_until(lambda: wanted(release) == 3, "three gateways are wanted", DOWN_WINDOW + 2 * PERIOD)
    wait_until(release.is_complete, "three gateways are ready")


def test_it_asks_for_the_pods_of_its_own_component_in_the_stable_lane(
    release: Release, metrics: ExternalMetrics
) -> None:
    assert {name for name, _ in metrics.requests} == {METRIC}
    selectors = {frozenset(labels.split(",")) for _, labels in metrics.requests}
    assert selectors == {frozenset({"service=gateway", "lane=stable"})}
