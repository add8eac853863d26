"""Regions beside each other in one cluster, each with values-production.yaml and its own file."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster.chart import LANES, Chart
from tests.support.cluster.control_plane import Cluster, CommandFailed
from tests.support.cluster.readiness import ReadinessWatch, component
from tests.support.cluster.release import Release
from tests.support.cluster.surroundings import apply_overlay, create_secrets
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("simulated cluster")

REGIONS = ("ap-northeast-2", "eu-central-1", "us-east-1")
# What an operator creates before the first install; cert-manager makes the others.
SECRETS = ("rag-qdrant", "rag-redis-ca", "rag-test-token", "vault-ca")
COMPONENTS = {
    "gateway", "embedder", "retriever", "generator", "ingestor", "edge", "qdrant", "collector",
}  # fmt: skip
# What logs in to Vault by the token of its service account, to sign tokens or for a secret; the others do
# so only with `tls.mode: vault`.
USES_VAULT = {"gateway", "retriever"}
# What every service account may do: ask who it is and what it may do, and read what the API offers.
ALLOWED = {
    ("create", "selfsubjectreviews.authentication.k8s.io"),
    ("create", "selfsubjectaccessreviews.authorization.k8s.io"),
    ("create", "selfsubjectrulesreviews.authorization.k8s.io"),
    ("get list watch", "clustertrustbundles.certificates.k8s.io"),
}
ALLOWED_PATHS = {"/.well-known/openid-configuration", "/api", "/apis", "/healthz", "/livez", "/openapi",
    "/openid/v1/jwks", "/readyz", "/version"}  # fmt: skip
# Qdrant's chart has a test of its own, which the Pod Security Standard refuses.
QDRANT_TEST = "rag-qdrant-test-db-interaction"


def values(chart: Chart, region: str) -> list[str]:
    return chart.values("values-production.yaml", f"regions/{region}.yaml")


@pytest.fixture(scope="module")
def regions(cluster: Cluster, chart: Chart, quick: list[str]) -> Iterator[dict[str, Release]]:
    """A release of each region, in a namespace of its own."""
    releases = {region: Release(cluster, chart, f"rag-{region}") for region in REGIONS}
    for release in releases.values():
        apply_overlay(cluster, "production", release.namespace)
        create_secrets(cluster, release.namespace, SECRETS)
    with ThreadPoolExecutor() as pool:
        installs = {
            region: pool.submit(release.install, *values(chart, region), *quick)
            for region, release in releases.items()
        }
    for install in installs.values():
        install.result()
    yield releases
    for release in releases.values():
        cluster.kubectl("delete", "namespace", release.namespace, "--wait=false")


@pytest.fixture(scope="module")
def region(regions: Mapping[str, Release]) -> Release:
    return regions[REGIONS[0]]


def test_every_region_has_a_file_and_is_tried(chart: Chart) -> None:
    assert chart.regions == list(REGIONS)


def test_every_region_becomes_ready_beside_the_others(regions: Mapping[str, Release]) -> None:
    for name, release in regions.items():
        wait_until(release.is_complete, f"all pods of {name} are ready")
        pods = release.pods()
        assert {component(pod) for pod in pods} == COMPONENTS
        ours = [pod for pod in pods if component(pod) != "qdrant"]
        assert {pod["metadata"]["labels"]["topology.rag-platform/region"] for pod in ours} == {name}


@pytest.mark.parametrize("name", REGIONS)
def test_every_object_is_valid_and_warns_of_nothing(
    name: str, chart: Chart, cluster: Cluster, regions: Mapping[str, Release]
) -> None:
    namespace = regions[name].namespace
    words = [*values(chart, name), *LANES]
    objects = chart.render(*words, namespace=namespace)
    wanted = [
        one for one in objects if (one["kind"], one["metadata"]["name"]) != ("Pod", QDRANT_TEST)
    ]
    assert len(wanted) == len(objects) - 1
    for one in wanted:
        one["metadata"].setdefault("namespace", namespace)
    cluster.apply(*wanted, dry_run=True)


def test_pods_refer_to_secrets_of_the_operator_and_of_certificates(chart: Chart) -> None:
    objects = chart.render(*values(chart, REGIONS[0]))
    made = {one["spec"]["secretName"] for one in objects if one["kind"] == "Certificate"}
    assert secrets(objects) - made == set(SECRETS)


def test_pods_are_spread_over_the_zones(region: Release) -> None:
    nodes: dict[str, set[str]] = {}
    for pod in region.pods():
        nodes.setdefault(component(pod), set()).add(pod["spec"]["nodeName"])
    assert {name: len(found) for name, found in nodes.items()} == dict.fromkeys(COMPONENTS, 3) | {
        "collector": 1
    }


def test_autoscalers_refer_to_what_exists(region: Release) -> None:
    scalers = region.cluster.items("horizontalpodautoscalers", region.namespace)
    workloads = {(one["kind"], one["metadata"]["name"]) for one in region.workloads()}
    targets = [one["spec"]["scaleTargetRef"] for one in scalers]
    assert {one["name"] for one in targets} == {
        f"rag-{name}" for name in COMPONENTS - {"qdrant", "collector"}
    }
    assert {(one["kind"], one["name"]) for one in targets} <= workloads
    # The controller read the target's scale.
    conditions = [
        each
        for one in scalers
        for each in one["status"]["conditions"]
        if each["type"] == "AbleToScale"
    ]
    assert [one["status"] for one in conditions] == ["True"] * len(scalers)


def test_budgets_protect_pods_that_exist(region: Release) -> None:
    budgets = region.cluster.items("poddisruptionbudgets", region.namespace)
    assert len(budgets) == len(COMPONENTS - {"collector"})
    for one in budgets:
        status = one["status"]
        assert (status["expectedPods"], status["disruptionsAllowed"]) == (3, 1), one["metadata"][
            "name"
        ]


def test_service_accounts_may_do_nothing(region: Release, cluster: Cluster) -> None:
    accounts = [
        one["metadata"]["name"] for one in cluster.items("serviceaccounts", region.namespace)
    ]
    assert set(accounts) == {f"rag-{name}" for name in COMPONENTS} | {"default"}
    for account in accounts:
        verbs, paths = permissions(cluster, region.namespace, account)
        assert verbs == ALLOWED, account
        assert paths == ALLOWED_PATHS, account


def test_tokens_of_service_accounts_are_for_vault_alone(region: Release) -> None:
    for pod in region.pods():
        projected = [one["projected"] for one in pod["spec"]["volumes"] if "projected" in one]
        sources = [source for one in projected for source in one["sources"]]
        tokens = [one["serviceAccountToken"] for one in sources if "serviceAccountToken" in one]
        assert {one.get("audience") for one in tokens} <= {"vault"}, pod["metadata"]["name"]
        assert bool(tokens) == (component(pod) in USES_VAULT), pod["metadata"]["name"]


def test_the_chart_of_qdrant_brings_a_test_that_the_namespace_refuses(region: Release) -> None:
    with pytest.raises(CommandFailed, match="violates PodSecurity"):
        region.helm("test", "--filter", f"name={QDRANT_TEST}", "--timeout", "20s")


def test_a_second_release_in_the_same_namespace_leaves_the_first_alone(
    region: Release, chart: Chart, quick: list[str], tmp_path: Path
) -> None:
    second = Release(region.cluster, chart, region.namespace, "second")
    before = region.cluster.names(region.namespace)
    with ReadinessWatch(region.cluster, region.namespace, "rag", tmp_path / "watch") as watch:
        second.install(*values(chart, REGIONS[1]), *quick)
        wait_until(second.is_complete, "all pods of the second release are ready")
        second.uninstall()
    assert watch.fewest() == dict.fromkeys(COMPONENTS, 3) | {"collector": 1}
    claims = {f"persistentvolumeclaim/qdrant-storage-second-qdrant-{number}" for number in range(3)}

    def left() -> set[str]:
        return region.cluster.names(region.namespace) - before

    wait_until(lambda: left() <= claims, "what the second release made is gone")
    assert left() == claims


def test_uninstall_leaves_only_what_holds_data(
    cluster: Cluster, regions: Mapping[str, Release]
) -> None:
    release = regions[REGIONS[2]]
    release.uninstall()
    surroundings = {
        "configmap/kube-root-ca.crt", "limitrange/rag", "networkpolicy.networking.k8s.io/default-deny",
        "resourcequota/rag", "serviceaccount/default",
    }  # fmt: skip
    own = {f"secret/{name}" for name in SECRETS}
    data = {f"persistentvolumeclaim/qdrant-storage-rag-qdrant-{number}" for number in range(3)}
    expected = surroundings | own | data

    def unexpected() -> set[str]:
        return cluster.names(release.namespace) - expected

    wait_until(lambda: not unexpected(), "what the release made is gone")
    assert cluster.names(release.namespace) == expected


def secrets(objects: list[dict[str, Any]]) -> set[str]:
    """Names of Secrets, anywhere in the templates of pods."""
    found: set[str] = set()

    def look(value: Any) -> None:
        if isinstance(value, dict):
            found.update(
                value[key]["name"] for key in ("secretKeyRef", "secretRef") if key in value
            )
            if isinstance(value.get("secret"), dict):
                found.add(value["secret"].get("secretName") or value["secret"]["name"])
            for each in value.values():
                look(each)
        elif isinstance(value, list):
            for each in value:
                look(each)

    for one in objects:
        if one["kind"] in ("Deployment", "StatefulSet", "Pod"):
            look(one["spec"])
    return found


def permissions(
    cluster: Cluster, namespace: str, account: str
) -> tuple[set[tuple[str, str]], set[str]]:
    """What an account may do with resources, and the paths that it may read."""
    subject = f"--as=system:serviceaccount:{namespace}:{account}"
    lines = cluster.kubectl(
        "auth", "can-i", "--list", subject, "--namespace", namespace
    ).splitlines()[1:]
    verbs, paths = set(), set()
    for line in lines:
        allowed = line[line.rindex("[") + 1 :].rstrip("] ")
        if line.startswith(" "):
            paths.add(line.strip()[1:].partition("]")[0].removesuffix("*").removesuffix("/"))
            assert allowed == "get"
        else:
            verbs.add((allowed, line.split()[0]))
    return verbs, paths
