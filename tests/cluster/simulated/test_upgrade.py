"""Upgrades, roll-backs, and releases that are stopped."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster.chart import Chart
from tests.support.cluster.control_plane import Cluster, CommandFailed
from tests.support.cluster.readiness import ReadinessWatch, component
from tests.support.cluster.release import Release
from tests.support.cluster.surroundings import apply_overlay, create_secrets
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("simulated cluster")

COMPONENTS = {"gateway", "embedder", "retriever", "generator", "ingestor", "edge"}
READY = dict.fromkeys(COMPONENTS, 2) | {"retriever": 1, "redis": 1}
# Its containers are never ready, as those of a bad image.
_STAGE = r"components.gateway.podAnnotations.pod-ready\.stage\.kwok\.x-k8s\.io"
FAILS = f"{_STAGE}/delay=10m,{_STAGE}/jitter-delay=10m"
CLAIM = "index-rag-retriever-0"


@pytest.fixture(scope="module")
def words(chart: Chart, quick: list[str]) -> list[str]:
    """Values of a laptop, with two pods of each stateless service and an index on a disk that grows."""
    two = [
        f"components.{name}.replicas=2" for name in ("gateway", "embedder", "generator", "ingestor")
    ]
    settings = [*two, "edge.replicas=2", "components.retriever.persistence.storageClass=rag-fast"]
    sets = [word for one in settings for word in ("--set", one)]
    return [*chart.values("values-laptop.yaml"), *quick, *sets]


@pytest.fixture(scope="module")
def release(cluster: Cluster, chart: Chart, words: list[str]) -> Iterator[Release]:
    """A release whose pods are all ready."""
    namespace = apply_overlay(cluster, "staging", "rag-upgraded")
    secrets = {f"rag-{name}-tls" for name in COMPONENTS} | {"rag-edge-public-tls"}
    create_secrets(cluster, namespace, sorted(secrets | {"rag-redis"}))
    release = Release(cluster, chart, namespace)
    release.install(*words)
    yield release
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def variables(release: Release, name: str) -> dict[str, str]:
    data: dict[str, str] = release.cluster.json(
        "get", "configmap", f"rag-{name}", "--namespace", release.namespace
    )["data"]
    return data


def identities(release: Release) -> dict[str, set[str]]:
    """The pods of each component that are not ending."""
    found: dict[str, set[str]] = {}
    for pod in release.pods():
        if "deletionTimestamp" not in pod["metadata"]:
            found.setdefault(component(pod), set()).add(pod["metadata"]["uid"])
    return found


def revision(release: Release) -> tuple[int, str]:
    """Number and status of the release's last revision."""
    last: dict[str, Any] = json.loads(release.helm("history", "--output", "json"))[-1]
    return last["revision"], last["status"]


def test_an_upgrade_replaces_only_what_changed_and_a_rollback_returns_it(
    release: Release, words: list[str], tmp_path: Path
) -> None:
    before, first = identities(release), revision(release)[0]
    with ReadinessWatch(release.cluster, release.namespace, "rag", tmp_path / "watch") as watch:
        release.upgrade(*words, "--set", "components.gateway.settings.searches=7")
        assert variables(release, "gateway")["GATEWAY_SEARCHES"] == "7"
        changed = {name for name, pods in identities(release).items() if pods != before[name]}
        assert changed == {"gateway"}
        release.rollback(first)
        assert variables(release, "gateway")["GATEWAY_SEARCHES"] == "6"
    assert watch.fewest() == READY


def test_an_upgrade_with_the_same_values_replaces_nothing(
    release: Release, words: list[str]
) -> None:
    before = identities(release)
    release.upgrade(*words)
    assert identities(release) == before


def test_a_release_whose_pods_never_become_ready_is_rolled_back_and_old_pods_serve(
    release: Release, words: list[str], tmp_path: Path
) -> None:
    before, number = identities(release), revision(release)[0]
    with ReadinessWatch(release.cluster, release.namespace, "rag", tmp_path / "watch") as watch:
        bad = ["--set", "components.gateway.settings.searches=8", "--set-string", FAILS]
        with pytest.raises(CommandFailed, match="rolled back"):
            release.upgrade(*words, *bad, "--rollback-on-failure", seconds=15)
        wait_until(lambda: identities(release) == before, "only the old pods are left")
    assert revision(release) == (number + 2, "deployed")
    assert variables(release, "gateway")["GATEWAY_SEARCHES"] == "6"
    assert watch.fewest() == READY


def test_the_index_grows_as_the_refusal_says(release: Release, words: list[str]) -> None:
    cluster = release.cluster
    larger = [*words, "--set", "components.retriever.persistence.size=8Gi"]
    with pytest.raises(CommandFailed, match="cannot change") as refused:
        release.upgrade(*larger)
    steps = refused.value.stderr
    assert f"resize the claim {CLAIM} (kubectl patch pvc)" in steps
    patch = json.dumps({"spec": {"resources": {"requests": {"storage": "8Gi"}}}})
    cluster.kubectl("patch", "pvc", CLAIM, "--patch", patch, "--namespace", release.namespace)
    assert "kubectl delete statefulset rag-retriever --cascade=orphan" in steps
    orphan = ["delete", "statefulset", "rag-retriever", "--cascade=orphan"]
    before = identities(release)["retriever"]
    cluster.kubectl(*orphan, "--namespace", release.namespace)
    assert "then upgrade with the new size" in steps
    release.upgrade(*larger)
    wait_until(release.is_complete, "the index is ready")
    assert identities(release)["retriever"] == before
    claim = cluster.json("get", "pvc", CLAIM, "--namespace", release.namespace)
    assert claim["spec"]["resources"]["requests"]["storage"] == "8Gi"
