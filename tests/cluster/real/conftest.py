"""One node whose pods run, with the region of values-laptop.yaml and the images that were built here."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tools.chart.package import package

from tests.support.cluster import program_images
from tests.support.cluster.control_plane import Cluster, running_cluster
from tests.support.cluster.images import SERVICES, service_images
from tests.support.cluster.region import NODE, REGISTRY, Region
from tests.support.parts import ROOT, missing, server
from tests.support.waiting import wait_until

NEXT_VERSION = "0.1.1"
SAMPLES = ROOT / "samples" / "ko"


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real node, with the images loaded and the namespaces of k8s/ made."""
    if os.geteuid():
        missing("a node whose pods run needs root")
    with running_cluster(real=True) as cluster:
        folder = tmp_path_factory.mktemp("images")
        programs = [
            program_images.pack(program_images.envoy(), folder / "envoy.tar"),
            program_images.pack(program_images.valkey(), folder / "valkey.tar"),
        ]
        cluster.load([*service_images(folder, NEXT_VERSION), *programs])
        overlay = str(ROOT / "k8s" / "overlays" / "laptop")
        cluster.kubectl("apply", "--validate=strict", "--kustomize", overlay)
        yield cluster


def _paths(folder: Path) -> dict[str, dict[str, str]]:
    return {"wal": {"path": f"{folder}/wal"}, "local": {"path": f"{folder}/blocks"}}


@pytest.fixture(scope="session")
def tempo(node: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Tempo on the node; the URL of its API."""
    folder = tmp_path_factory.mktemp("tempo")
    program = server("TEMPO_SERVER", "Tempo")
    config = folder / "tempo.yaml"
    receiver = {"otlp": {"protocols": {"grpc": {"endpoint": f"{NODE}:4317"}}}}
    settings = {
        "server": {"http_listen_address": "127.0.0.1", "http_listen_port": 3200},
        "distributor": {"receivers": receiver},
        "storage": {"trace": {"backend": "local", **_paths(folder)}},
        "usage_report": {"reporting_enabled": False},
    }
    config.write_text(json.dumps(settings))
    command = (program, f"-config.file={config}", "-target=all")
    with node.running(*command, log=folder / "tempo.log"):
        wait_until(
            lambda: node.run("curl", "-fsS", "http://127.0.0.1:3200/ready").returncode == 0,
            "Tempo is ready",
            seconds=60,
        )
        yield "http://127.0.0.1:3200"


def ingest_samples(region: Region) -> None:
    """Ingest the sample documents of a tenant `employees`, as a client does that tries again."""
    files = sorted(map(str, SAMPLES.iterdir()))
    wait_until(lambda: region.client("ingest", *files).returncode == 0, "the samples are ingested")


@pytest.fixture(scope="session")
def region(node: Cluster, tempo: str, tmp_path_factory: pytest.TempPathFactory) -> Region:
    """The region, installed, with the sample documents of a tenant `employees`."""
    folder = tmp_path_factory.mktemp("region")
    package(folder / "rag")
    region = Region(
        node, folder / "rag", folder, [folder / "rag" / "values-laptop.yaml"],
        overrides={
            "image": {"registry": REGISTRY, "pullPolicy": "Never"},
            "telemetry": {"endpoint": f"http://{NODE}:4317"},
        },
    )  # fmt: skip
    region.create_secrets()
    region.install()
    ingest_samples(region)
    return region


# The node has two cores, and a rolling update needs room for one pod more of each.
SMALL = {"cpu": "20m", "memory": "128Mi", "ephemeral-storage": "16Mi"}
TWO: dict[str, Any] = {
    **{
        f"components__{service}": {"replicas": 2, "resources": {"requests": SMALL}}
        for service in SERVICES
    },
    "edge": {"replicas": 2, "resources": {"requests": SMALL}},
    "index": {"engine": "server", "url": f"http://{NODE}:6333"},
}


@pytest.fixture(scope="session")
def qdrant(region: Region, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Qdrant server outside the chart."""
    folder = tmp_path_factory.mktemp("qdrant")
    settings = {
        "QDRANT__STORAGE__STORAGE_PATH": folder / "storage",
        "QDRANT__STORAGE__SNAPSHOTS_PATH": folder / "snapshots",
        "QDRANT__SERVICE__HOST": NODE,
        "QDRANT__TELEMETRY_DISABLED": "true",
    }
    words = [f"{name}={value}" for name, value in settings.items()]
    with region.cluster.running(
        "env", f"--chdir={folder}", *words, server("QDRANT_SERVER", "Qdrant"), log=folder / "log"
    ):
        yield


@pytest.fixture(scope="session")
def wide(region: Region, qdrant: None) -> Region:
    """The region with two pods of each service, and its documents in the server's index."""
    region.install(**TWO)
    ingest_samples(region)
    return region
