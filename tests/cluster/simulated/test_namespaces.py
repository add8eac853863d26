"""Namespaces of k8s/ in a real API server: what they admit, refuse and fill in."""

from typing import Any

import pytest

from tests.support.cluster.control_plane import Cluster, CommandFailed
from tests.support.cluster.surroundings import apply_overlay
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("simulated cluster")

OVERLAYS = ("laptop", "staging", "production")
RESTRICTED = {
    "runAsNonRoot": True, "runAsUser": 65532, "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
}  # fmt: skip


def a_pod(namespace: str, **container: Any) -> dict[str, Any]:
    """A pod that the standard "restricted" admits, with other fields of its container."""
    one = {"name": "one", "image": "test/test:1", "securityContext": RESTRICTED, **container}
    metadata = {"name": "probe", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [one]}}


@pytest.fixture(scope="module")
def namespaces(cluster: Cluster) -> dict[str, str]:
    """The namespace of each overlay, applied strictly and without a warning."""
    return {name: apply_overlay(cluster, name) for name in OVERLAYS}


@pytest.fixture(scope="module")
def namespace(namespaces: dict[str, str], cluster: Cluster) -> str:
    """The one of production, with its quota in force."""
    name = namespaces["production"]

    def counted() -> bool:
        (quota,) = cluster.items("resourcequotas", name)
        return "used" in quota.get("status", {})

    wait_until(counted, "the quota counts")
    return name


def test_applying_an_overlay_again_changes_nothing(
    cluster: Cluster, namespaces: dict[str, str]
) -> None:
    before = cluster.items("resourcequotas,limitranges,networkpolicies")
    assert apply_overlay(cluster, "laptop") == namespaces["laptop"]
    after = cluster.items("resourcequotas,limitranges,networkpolicies")
    specs = [[one["spec"] for one in each] for each in (before, after)]
    assert specs[0] == specs[1]


def test_a_privileged_pod_is_refused(cluster: Cluster, namespace: str) -> None:
    pod = a_pod(namespace, securityContext={"privileged": True})
    with pytest.raises(CommandFailed, match='violates PodSecurity "restricted:v1'):
        cluster.apply(pod)


def test_a_deployment_that_asks_for_privileges_is_warned_of(
    cluster: Cluster, namespace: str
) -> None:
    pod = a_pod(namespace, securityContext={"privileged": True})
    template = {"metadata": {"labels": {"app": "probe"}}, "spec": pod["spec"]}
    spec = {"selector": {"matchLabels": {"app": "probe"}}, "template": template}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": pod["metadata"],
        "spec": spec,
    }
    with pytest.raises(CommandFailed, match="Warning: would violate PodSecurity"):
        cluster.apply(deployment | {"spec": spec | {"replicas": 0}})


def test_a_container_without_limits_gets_some(cluster: Cluster, namespace: str) -> None:
    cluster.apply(a_pod(namespace))
    pod = cluster.json("get", "pod", "probe", "--namespace", namespace)
    resources = pod["spec"]["containers"][0]["resources"]
    assert set(resources["limits"]) == {"cpu", "memory", "ephemeral-storage"}
    assert set(resources["requests"]) == {"cpu", "memory", "ephemeral-storage"}
    cluster.kubectl("delete", "pod", "probe", "--namespace", namespace, "--grace-period=1")


def test_a_container_above_the_limit_of_one_is_refused(cluster: Cluster, namespace: str) -> None:
    resources = {"limits": {"cpu": "1", "memory": "64Gi"}}
    with pytest.raises(CommandFailed, match="maximum memory usage per Container is 16Gi"):
        cluster.apply(a_pod(namespace, resources=resources))


def test_more_than_the_quota_is_refused(cluster: Cluster, namespaces: dict[str, str]) -> None:
    name = namespaces["laptop"]
    resources = {"limits": {"cpu": "4"}, "requests": {"cpu": "4"}}
    first, second = a_pod(name, resources=resources), a_pod(name, resources=resources)
    second["metadata"]["name"] = "another"
    cluster.apply(first)
    with pytest.raises(CommandFailed, match="exceeded quota: rag"):
        cluster.apply(second)
    cluster.kubectl("delete", "pod", "probe", "--namespace", name, "--grace-period=1")
