"""The objects of Argo Rollouts and of the Gateway API find the release's pods, and may call them."""

from typing import Any

import pytest
from tools.chart.schema import merged

from tests.support.chart.cases import FILES
from tests.support.chart.rendering import Object, Rendered, name, render

PROMETHEUS = "http://prometheus:9090"
ARGO = {"canary": {"enabled": True, "provider": "argoRollouts", "prometheus": PROMETHEUS}}
GATEWAYS = {"kubernetes.io/metadata.name": "gateways"}
ROUTES: dict[str, Any] = {
    "canary": {
        "enabled": True,
        "provider": "gatewayApi",
        "gatewayApi": {"gateway": {"name": "public"}, "clients": GATEWAYS, "weight": 5},
    }
}
COMPONENTS = ["gateway", "generator"]


@pytest.fixture(scope="module")
def argo() -> Rendered:
    return render(ARGO, FILES["eu-central-1"])


@pytest.fixture(scope="module")
def routes() -> Rendered:
    return render(ROUTES, FILES["eu-central-1"])


def test_a_rollout_takes_the_pods_of_its_deployment_over(argo: Rendered) -> None:
    assert [name(one) for one in argo.of_kind("Rollout")] == [f"rag-{one}" for one in COMPONENTS]
    for rollout in argo.of_kind("Rollout"):
        reference = rollout["spec"]["workloadRef"]
        assert reference["scaleDown"] == "progressively"
        deployment = argo.get(reference["kind"], reference["name"])
        # Helm would otherwise scale it up again with each upgrade.
        assert "replicas" not in deployment["spec"]


def test_without_autoscaling_the_rollout_has_the_number_of_pods() -> None:
    fixed = {"components": {"gateway": {"autoscaling": {"enabled": False}, "replicas": 4}}}
    rendered = render(merged(ARGO, fixed), FILES["eu-central-1"])
    assert rendered.get("Rollout", "rag-gateway")["spec"]["replicas"] == 4
    assert "replicas" not in rendered.get("Deployment", "rag-gateway")["spec"]
    assert rendered.get("Deployment", "rag-embedder")["spec"].keys() >= {"strategy"}


@pytest.mark.parametrize("component", COMPONENTS)
def test_what_selects_the_pods_of_a_component_selects_a_rollout_s(
    argo: Rendered, component: str
) -> None:
    pods = labels(argo.get("Deployment", f"rag-{component}"))
    place = f"rag-{component}"
    assert argo.get("Service", place)["spec"]["selector"].items() <= pods.items()
    assert pods["rag-platform/lane"] == "stable"
    for kind, key in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        assert argo.get(kind, place)["spec"][key]["matchLabels"].items() <= pods.items()
    scaler = argo.get("HorizontalPodAutoscaler", place)["spec"]
    assert scaler["scaleTargetRef"] == {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "name": place,
    }


def test_metrics_tell_a_rollout_s_lanes_apart(argo: Rendered) -> None:
    for rollout in argo.of_kind("Rollout"):
        canary = rollout["spec"]["strategy"]["canary"]
        tracks = [canary[f"{kind}Metadata"]["labels"] for kind in ("stable", "canary")]
        assert tracks == [{"rag-platform/track": track} for track in ("baseline", "canary")]
        # In no selector: a pod that changes its track keeps its connections.
        assert "rag-platform/track" not in labels(argo.get("Deployment", name(rollout)))
    (relabeling, *_) = [
        one
        for one in argo.get("ServiceMonitor", "rag-services")["spec"]["endpoints"][0]["relabelings"]
        if one.get("sourceLabels") == ["__meta_kubernetes_pod_label_rag_platform_track"]
    ]
    assert relabeling["targetLabel"] == "lane"


def test_the_steps_of_a_rollout_name_the_analysis(argo: Rendered) -> None:
    (template,) = argo.of_kind("AnalysisTemplate")
    for rollout in argo.of_kind("Rollout"):
        steps = rollout["spec"]["strategy"]["canary"]["steps"]
        analyses = [one["analysis"]["templates"] for one in steps if "analysis" in one]
        assert analyses == [[{"templateName": name(template)}]] * 2
    for metric in template["spec"]["metrics"]:
        assert metric["provider"]["prometheus"]["address"] == PROMETHEUS


def test_a_route_splits_calls_between_gateways_that_exist(routes: Rendered) -> None:
    (route,) = routes.of_kind("GRPCRoute")
    (rule,) = route["spec"]["rules"]
    assert {one["name"]: one["weight"] for one in rule["backendRefs"]} == {
        "rag-gateway": 95,
        "rag-gateway-canary": 5,
    }
    for backend in rule["backendRefs"]:
        ports = routes.get("Service", backend["name"])["spec"]["ports"]
        assert backend["port"] in [one["port"] for one in ports if one["name"] == "grpc"]


def test_a_route_s_backends_are_called_with_tls(routes: Rendered) -> None:
    (policy,) = routes.of_kind("BackendTLSPolicy")
    targets = {one["name"] for one in policy["spec"]["targetRefs"]}
    assert targets == {"rag-gateway", "rag-gateway-canary"}
    # docs/chart.md names the ConfigMap.
    assert policy["spec"]["validation"] == {
        "hostname": "gateway",
        "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "rag-ca"}],
    }
    certificate = routes.get("Certificate", "rag-gateway")
    assert certificate["spec"]["dnsNames"] == ["gateway"]


@pytest.mark.parametrize("lane", ["", "-canary"])
def test_the_pods_of_a_gateway_may_call_both_lanes(routes: Rendered, lane: str) -> None:
    policy = routes.get("NetworkPolicy", f"rag-gateway{lane}")
    allowed = [
        rule["ports"]
        for rule in policy["spec"]["ingress"]
        if {"namespaceSelector": {"matchLabels": GATEWAYS}} in rule["from"]
    ]
    assert allowed == [[{"port": 50051, "protocol": "TCP"}]]


def labels(one: Object) -> dict[str, str]:
    result: dict[str, str] = one["spec"]["template"]["metadata"]["labels"]
    return result
