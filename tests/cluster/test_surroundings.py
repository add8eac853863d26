"""The objects of k8s/: what each environment gets, and that the chart fits into it."""

import subprocess
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.cluster.chart import LANES, Chart
from tests.support.cluster.programs import kubectl_program
from tests.support.cluster.resource_totals import claims, containers, quantity, totals
from tests.support.parts import ROOT

SURROUNDINGS = ROOT / "k8s"
NAMESPACES = {"laptop": "rag", "staging": "rag-staging", "production": "rag-production"}
VALUES = {
    "laptop": "values-laptop.yaml",
    "staging": "values-production.yaml",
    "production": "values-production.yaml",
}
# Counted by the API server, and made by helm, cert-manager and operators.
NOT_RENDERED = {"secrets", "count/jobs.batch"}

Objects = list[dict[str, Any]]


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Chart:
    return Chart(tmp_path_factory.mktemp("chart"))


def overlay(folder: Path) -> Objects:
    """The objects of an overlay, as kubectl builds them."""
    command = [kubectl_program(), "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    assert not done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def environment(name: str) -> Objects:
    return overlay(SURROUNDINGS / "overlays" / name)


def of_kind(objects: Objects, kind: str) -> Objects:
    return [one for one in objects if one["kind"] == kind]


@cache
def release(chart: Chart, name: str) -> Objects:
    """The chart with the environment's values and the lanes of a canary."""
    words = chart.values(VALUES[name])
    if name != "laptop":
        words += chart.values(f"regions/{chart.regions[0]}.yaml")
    return chart.render(*words, *LANES)


@pytest.mark.parametrize("name", NAMESPACES)
def test_everything_of_an_environment_is_in_its_namespace(name: str) -> None:
    objects = environment(name)
    spaces = {one["metadata"].get("namespace") for one in objects}
    assert spaces == {None, NAMESPACES[name]}
    assert [one["metadata"]["name"] for one in of_kind(objects, "Namespace")] == [NAMESPACES[name]]


@pytest.mark.parametrize("name", NAMESPACES)
def test_pods_are_restricted_at_a_pinned_version(name: str) -> None:
    (space,) = of_kind(environment(name), "Namespace")
    labels = space["metadata"]["labels"]
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
        assert labels[f"pod-security.kubernetes.io/{mode}-version"].startswith("v1.")


@pytest.mark.parametrize("name", NAMESPACES)
def test_nothing_is_allowed_by_default(name: str) -> None:
    (policy,) = of_kind(environment(name), "NetworkPolicy")
    assert policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_a_laptop_has_no_storage_class_and_the_others_have_one() -> None:
    classes = {name: of_kind(environment(name), "StorageClass") for name in NAMESPACES}
    assert not classes.pop("laptop")
    for (one,) in classes.values():
        assert one["metadata"]["name"] == "rag-fast"
        assert one["allowVolumeExpansion"]
        assert one["reclaimPolicy"] == "Retain"


def test_each_cloud_has_a_storage_class_of_its_own_driver() -> None:
    drivers = set()
    for folder in sorted((SURROUNDINGS / "storage").iterdir()):
        (one,) = yaml.safe_load_all((folder / "storage-class.yaml").read_text())
        drivers.add(one["provisioner"])
    assert drivers == {"ebs.csi.aws.com", "disk.csi.azure.com", "pd.csi.storage.gke.io"}


@pytest.mark.parametrize("name", NAMESPACES)
def test_no_object_is_both_here_and_in_the_chart(name: str, chart: Chart) -> None:
    def names(objects: Objects) -> set[tuple[str, str]]:
        return {(one["kind"], one["metadata"]["name"]) for one in objects}

    assert not names(environment(name)) & names(release(chart, name))


def test_the_charts_values_name_the_classes_that_are_here(chart: Chart) -> None:
    objects = environment("production")
    values = yaml.safe_load((chart.folder / "values-production.yaml").read_text())
    priorities = {one["metadata"]["name"] for one in of_kind(objects, "PriorityClass")}
    assert set(values["priorityClasses"].values()) == priorities
    (storage,) = of_kind(objects, "StorageClass")
    for region in chart.regions:
        given = yaml.safe_load((chart.folder / "regions" / f"{region}.yaml").read_text())
        assert given["qdrant"]["persistence"]["storageClassName"] == storage["metadata"]["name"]


@pytest.mark.parametrize("name", NAMESPACES)
def test_a_release_its_rollout_and_its_lanes_fit_the_quota(name: str, chart: Chart) -> None:
    (quota,) = of_kind(environment(name), "ResourceQuota")
    hard = {key: quantity(value) for key, value in quota["spec"]["hard"].items()}
    needed = totals(release(chart, name), scaled=name == "production")
    assert set(needed) <= set(hard)
    exceeded = {key: (value, hard[key]) for key, value in needed.items() if value > hard[key]}
    assert not exceeded


@pytest.mark.parametrize("name", NAMESPACES)
def test_the_quota_is_no_larger_than_twice_what_a_release_needs(name: str, chart: Chart) -> None:
    (quota,) = of_kind(environment(name), "ResourceQuota")
    needed = totals(release(chart, name), scaled=name == "production")
    for key in (
        "requests.cpu",
        "requests.memory",
        "limits.cpu",
        "limits.memory",
        "requests.storage",
        "pods",
    ):
        assert quantity(quota["spec"]["hard"][key]) <= 2 * Decimal(needed[key]), key


@pytest.mark.parametrize("name", NAMESPACES)
def test_every_container_and_claim_is_within_the_limits_of_one(name: str, chart: Chart) -> None:
    (limits,) = of_kind(environment(name), "LimitRange")
    bounds = {one["type"]: one for one in limits["spec"]["limits"]}
    objects = release(chart, name)
    limit = bounds["Container"]
    for container in containers(objects):
        given = limit["default"] | container["resources"]["limits"]
        for resource, bound in limit["max"].items():
            assert quantity(given[resource]) <= quantity(bound), container["name"]
    sizes = [size for one in objects for size in claims(one)]
    claim = bounds["PersistentVolumeClaim"]
    assert sizes
    assert all(
        quantity(claim["min"]["storage"]) <= size <= quantity(claim["max"]["storage"])
        for size in sizes
    )
