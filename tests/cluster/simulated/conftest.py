"""One cluster with simulated nodes for all tests of this folder."""

from collections.abc import Iterator

import pytest
import yaml

from tests.support.cluster.chart import Chart
from tests.support.cluster.control_plane import Cluster, running_cluster
from tests.support.cluster.surroundings import create_volumes, install_definitions

# Kinds that the chart may use and Kubernetes lacks.
KINDS = (
    "Certificate", "ServiceMonitor", "PrometheusRule", "ExternalSecret", "ScaledObject",
    "Rollout", "AnalysisTemplate", "Gateway", "GRPCRoute", "BackendTLSPolicy",
)  # fmt: skip
STAGES = ("pod-create", "pod-init-container-running", "pod-init-container-completed", "pod-ready")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A real control plane, three simulated nodes in three zones, and definitions for the chart."""
    with running_cluster(nodes=3) as running:
        install_definitions(running, KINDS)
        create_volumes(running, "rag-fast", 20, running.kubeconfig.parent / "volumes")
        yield running


@pytest.fixture(scope="session")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Chart:
    return Chart(tmp_path_factory.mktemp("chart"))


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Helm's arguments for values by which simulated pods are ready within two seconds."""
    annotations = {}
    for stage in STAGES:
        annotations[f"{stage}.stage.kwok.x-k8s.io/delay"] = "100ms"
        annotations[f"{stage}.stage.kwok.x-k8s.io/jitter-delay"] = "300ms"
    pods = {"podAnnotations": annotations}
    services = ("gateway", "embedder", "retriever", "generator", "ingestor")
    values = {"edge": pods, "qdrant": pods, "components": dict.fromkeys(services, pods)}
    path = tmp_path_factory.mktemp("values") / "quick.yaml"
    path.write_text(yaml.safe_dump(values))
    return ["--values", str(path)]
