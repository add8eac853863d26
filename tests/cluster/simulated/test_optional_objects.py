"""Objects of operators that a cluster may have: the API server accepts each by its definition.

The operators themselves are not there.
"""

import pytest

from tests.support.cluster.chart import Chart
from tests.support.cluster.control_plane import Cluster
from tests.support.cluster.surroundings import apply_overlay

pytestmark = pytest.mark.xdist_group("simulated cluster")

PROMETHEUS = "http://prometheus.monitoring.svc:9090"
SWITCHES = {
    "keda": ["autoscaling.provider=keda", f"autoscaling.prometheus={PROMETHEUS}"],
    "argoRollouts": ["canary.enabled=true", "canary.provider=argoRollouts", f"canary.prometheus={PROMETHEUS}"],
    "gatewayApi": [
        "canary.enabled=true", "canary.provider=gatewayApi", f"canary.prometheus={PROMETHEUS}",
        "canary.gatewayApi.gateway.name=public",
        r"canary.gatewayApi.clients.kubernetes\.io/metadata\.name=gateways",
        "canary.gatewayApi.hostnames={rag.example}",
        "canary.gatewayApi.weight=10",
    ],
    "externalSecrets": [
        "externalSecrets.enabled=true", "externalSecrets.store.name=store",
        "externalSecrets.secrets[0].name=rag-qdrant",
        "externalSecrets.secrets[0].data.api_key.key=rag/qdrant",
        "externalSecrets.secrets[0].data.api_key.property=api_key",
    ],
    "vault": ["tls.mode=vault"],
}  # fmt: skip
# How many objects of each kind a switch adds.
ADDED = {
    "keda": {"ScaledObject": 6},
    "argoRollouts": {"Rollout": 2, "AnalysisTemplate": 1},
    "gatewayApi": {"GRPCRoute": 1, "BackendTLSPolicy": 1},
    "externalSecrets": {"ExternalSecret": 1},
    "vault": {},
}


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> str:
    return apply_overlay(cluster, "production")


@pytest.mark.parametrize("switch", SWITCHES)
def test_the_api_server_accepts_what_a_switch_adds(
    switch: str, cluster: Cluster, chart: Chart, namespace: str
) -> None:
    files = chart.values("values-production.yaml", "regions/us-east-1.yaml")
    words = [word for one in SWITCHES[switch] for word in ("--set", one)]
    objects = chart.render(*files, *words, namespace=namespace)
    kinds = [one["kind"] for one in objects]
    assert {kind: kinds.count(kind) for kind in ADDED[switch]} == ADDED[switch]
    own = [one for one in objects if "qdrant" not in one["metadata"]["name"]]
    for one in own:
        one["metadata"].setdefault("namespace", namespace)
    cluster.apply(*own, dry_run=True)
