"""Whatever is set, pods are restricted, limited, probed, and end without losing a call."""

from collections.abc import Iterator
from typing import Any

import pytest
from tools.services import SERVICES

from tests.support.chart.cases import Case, all_cases, each_case
from tests.support.chart.graph import uses_vault
from tests.support.chart.rendering import Object, containers, name

CASES = all_cases()
NAME = "app.kubernetes.io/name"
RESOURCES = {"cpu", "memory", "ephemeral-storage"}


def all_containers(case: Case) -> Iterator[tuple[str, Object]]:
    for pod, spec in case.rendered.pods:
        for container in containers(spec):
            yield f"{pod}/{container['name']}", container


@each_case
def test_every_container_has_requests_and_limits(case: Case) -> None:
    for place, container in all_containers(case):
        resources = container["resources"]
        assert resources["requests"].keys() >= RESOURCES, place
        assert resources["limits"].keys() >= RESOURCES, place


@each_case
def test_no_request_is_over_its_limit(case: Case) -> None:
    for place, container in all_containers(case):
        for resource, request in container["resources"]["requests"].items():
            limit = container["resources"]["limits"][resource]
            assert amount(request) <= amount(limit), (place, resource)


@each_case
def test_every_container_is_restricted(case: Case) -> None:
    for place, container in all_containers(case):
        context = container["securityContext"]
        assert context == {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }, place


@each_case
def test_every_pod_runs_as_a_user_and_shares_nothing_of_its_node(case: Case) -> None:
    for pod, spec in case.rendered.pods:
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True, pod
        assert context["runAsUser"] > 0, pod
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, pod
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC", "hostAliases"}, pod
        assert not [volume for volume in spec["volumes"] if "hostPath" in volume], pod


@each_case
def test_the_only_token_in_a_pod_is_for_vault(case: Case) -> None:
    vault = case.values["vault"]
    spec_owner = {name(one): one["metadata"]["labels"][NAME] for one in case.rendered.own}
    for pod, spec in case.rendered.pods:
        assert spec["automountServiceAccountToken"] is False, pod
        tokens = [
            source["serviceAccountToken"]
            for volume in spec["volumes"]
            for source in volume.get("projected", {}).get("sources", ())
        ]
        assert {token["audience"] for token in tokens} <= {vault["audience"]}, pod
        component = spec_owner[pod]
        assert bool(tokens) == uses_vault(component, case.values), pod
    for account in case.rendered.of_kind("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


@each_case
def test_written_folders_are_limited_and_all_others_read_only(case: Case) -> None:
    for pod, spec in case.rendered.pods:
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        for one in volumes.values():
            assert "emptyDir" not in one or one["emptyDir"].get("sizeLimit"), (pod, one)
        for container in containers(spec):
            for mount in container["volumeMounts"]:
                # A claim of a StatefulSet is not among the volumes.
                volume = volumes.get(mount["name"], {})
                secret = volume.keys() & {"secret", "configMap", "projected"}
                assert not secret or mount["readOnly"] is True, (pod, mount)


@each_case
def test_every_mount_has_its_volume(case: Case) -> None:
    claims = {
        (name(one), claim["metadata"]["name"])
        for one in case.rendered.workloads
        for claim in one["spec"].get("volumeClaimTemplates", ())
    }
    for pod, spec in case.rendered.pods:
        volumes = {volume["name"] for volume in spec["volumes"]}
        assert len(volumes) == len(spec["volumes"]), pod
        for container in containers(spec):
            mounts = container["volumeMounts"]
            assert {m["name"] for m in mounts} <= volumes | {c for p, c in claims if p == pod}, pod
            assert len({m["mountPath"] for m in mounts}) == len(mounts), pod


@each_case
def test_probes_of_three_meanings(case: Case) -> None:
    for workload in case.rendered.workloads:
        for container in workload["spec"]["template"]["spec"]["containers"]:
            place = f"{name(workload)}/{container['name']}"
            probes = [container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")]
            startup, readiness, liveness = probes
            ports = {port["name"] for port in container["ports"]}
            for probe in probes:
                action = probe.get("httpGet") or probe["tcpSocket"]
                assert action["port"] in ports, place
            # Slow to restart, quick to take out of balancing, patient at start.
            assert seconds(readiness) < seconds(liveness) <= seconds(startup) or (
                seconds(readiness) < min(seconds(liveness), seconds(startup))
            ), place


@pytest.mark.parametrize("component", SERVICES)
def test_services_are_asked_for_three_different_things(component: str) -> None:
    for case in CASES[:2]:
        workload = next(one for one in case.rendered.workloads if name(one) == f"rag-{component}")
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        paths = {
            kind: container[f"{kind}Probe"]["httpGet"]["path"]
            for kind in ("startup", "readiness", "liveness")
        }
        assert paths == {
            "startup": "/health/started",
            "readiness": "/health/ready",
            "liveness": "/health/live",
        }


@each_case
def test_rollouts_take_no_pod_away_before_another_is_ready(case: Case) -> None:
    for one in case.rendered.of_kind("Deployment"):
        strategy = one["spec"].get("strategy", {})
        # The chart's own Redis has one pod and no volume; two would answer differently.
        if name(one) == "rag-redis":
            assert strategy == {"type": "Recreate"}
            continue
        assert strategy["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}, name(one)


@each_case
def test_pods_have_time_to_drain(case: Case) -> None:
    values = case.values
    for one in case.rendered.workloads:
        spec = one["spec"]["template"]["spec"]
        component = one["metadata"]["labels"]["app.kubernetes.io/name"]
        if component in values["components"]:
            settings = case.settings(one)
            needed = settings.drain_delay + settings.grace
        elif component == "edge":
            needed = sum(values["edge"]["drain"].values())
        else:
            continue
        assert spec["terminationGracePeriodSeconds"] > needed, name(one)


@each_case
def test_spreading_is_a_preference(case: Case) -> None:
    for pod, spec in case.rendered.pods:
        for constraint in spec.get("topologySpreadConstraints", ()):
            assert constraint["whenUnsatisfiable"] == "ScheduleAnyway", pod


@each_case
def test_replicated_pods_are_spread(case: Case) -> None:
    for one in case.rendered.workloads:
        if one["metadata"]["labels"]["app.kubernetes.io/name"] == "redis":
            continue
        spec = one["spec"]["template"]["spec"]
        keys = {constraint["topologyKey"] for constraint in spec["topologySpreadConstraints"]}
        assert keys == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
        for constraint in spec["topologySpreadConstraints"]:
            assert constraint["labelSelector"] == one["spec"]["selector"]


@each_case
def test_budgets_allow_a_disruption_and_never_protect_a_single_pod(case: Case) -> None:
    rendered = case.rendered
    budgets = {name(one): one["spec"] for one in rendered.of_kind("PodDisruptionBudget")}
    minimum = {name(one): one["spec"].get("replicas") for one in rendered.workloads}
    minimum |= {name(one): one["spec"].get("replicas") for one in rendered.of_kind("Rollout")}
    for scaler in rendered.of_kind("HorizontalPodAutoscaler"):
        minimum[scaler["spec"]["scaleTargetRef"]["name"]] = scaler["spec"]["minReplicas"]
    for scaler in rendered.of_kind("ScaledObject"):
        minimum[scaler["spec"]["scaleTargetRef"]["name"]] = scaler["spec"]["minReplicaCount"]
    for budget in budgets.values():
        assert budget["maxUnavailable"] == 1
        assert "minAvailable" not in budget
    assert budgets.keys() == {pod for pod, count in minimum.items() if count > 1}


@each_case
def test_a_scaled_workload_sets_no_number_of_pods(case: Case) -> None:
    rendered = case.rendered
    scaled = {
        one["spec"]["scaleTargetRef"]["name"]
        for one in rendered.of_kind("HorizontalPodAutoscaler", "ScaledObject")
    }
    rollouts = {name(one) for one in rendered.of_kind("Rollout")}
    unset = {name(one) for one in rendered.workloads if "replicas" not in one["spec"]}
    assert scaled | rollouts == unset
    # Argo scales what it replaces.
    running = [*rendered.of_kind("Rollout")]
    assert {name(one) for one in running if "replicas" not in one["spec"]} == scaled & rollouts


UNITS = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "": 1}


def amount(quantity: Any) -> float:
    digits = str(quantity).rstrip("mkMGi K")
    return float(digits) * UNITS[str(quantity).removeprefix(digits)]


def seconds(probe: Object) -> int:
    result: int = probe["periodSeconds"] * probe["failureThreshold"]
    return result
