"""A lane's pods are those of its component, but for image, settings and lane."""

import copy
from typing import Any

import pytest

from tests.support.chart.cases import FILES, all_cases
from tests.support.chart.rendering import Object, Rendered, name, render

CANARY: dict[str, Any] = {
    "canary": {
        "enabled": True,
        "prometheus": "http://prometheus:9090",
        "components": ["gateway", "embedder", "retriever", "generator", "ingestor"],
        "image": {"tag": "9.9.9"},
        "settings": {"gateway": {"searches": 9}},
    }
}
LANES = ("baseline", "canary")
COMPONENTS = CANARY["canary"]["components"]


@pytest.fixture(scope="module")
def rendered() -> Rendered:
    return render(CANARY, FILES["eu-central-1"])


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("component", COMPONENTS)
def test_a_lane_has_the_template_of_its_component(
    rendered: Rendered, component: str, lane: str
) -> None:
    stable = rendered.get("Deployment", f"rag-{component}")
    other = rendered.get("Deployment", f"rag-{component}-{lane}")
    assert without_differences(other, lane) == without_differences(stable, "stable")


@pytest.mark.parametrize("component", COMPONENTS)
def test_only_the_canary_has_the_new_image(rendered: Rendered, component: str) -> None:
    def image(lane: str) -> str:
        return str(containers(rendered.get("Deployment", f"rag-{component}{lane}"))[0]["image"])

    assert image("-baseline") == image("") != image("-canary")
    assert image("-canary").endswith(f"/rag-{component}:9.9.9")


def test_only_the_canary_has_the_new_settings(rendered: Rendered) -> None:
    def searches(lane: str) -> str:
        return str(rendered.get("ConfigMap", f"rag-gateway{lane}")["data"]["GATEWAY_SEARCHES"])

    assert (searches(""), searches("-baseline"), searches("-canary")) == ("12", "12", "9")


@pytest.mark.parametrize("lane", LANES)
def test_a_lane_s_gateway_calls_its_own_lane(rendered: Rendered, lane: str) -> None:
    data = rendered.get("ConfigMap", f"rag-gateway-{lane}")["data"]
    for component in ("embedder", "retriever", "generator", "ingestor"):
        assert f"///rag-{component}-{lane}:" in data[f"GATEWAY_{component.upper()}_TARGET"]


def test_lanes_are_of_equal_size_and_are_not_scaled(rendered: Rendered) -> None:
    sizes = {
        one["spec"].get("replicas")
        for one in rendered.of_kind("Deployment")
        if name(one).endswith(LANES) and name(one) != "rag-canary"
    }
    assert sizes == {1}
    scaled = [name(one) for one in rendered.of_kind("HorizontalPodAutoscaler")]
    assert not [one for one in scaled if one.endswith(LANES)]


def test_what_only_the_canary_calls_is_open_to_the_canary_alone() -> None:
    model = {"openai_url": "https://llm.example/v1", "openai_models": "large"}
    values = copy.deepcopy(CANARY)
    values["canary"]["settings"]["generator"] = model
    lanes = render(values, FILES["eu-central-1"])

    def opened(lane: str) -> bool:
        rules = lanes.get("NetworkPolicy", f"rag-generator{lane}")["spec"]["egress"]
        return {"ports": [{"port": 443, "protocol": "TCP"}]} in rules

    assert [opened(lane) for lane in ("", "-baseline", "-canary")] == [False, False, True]


def test_selectors_are_disjoint() -> None:
    for case in all_cases():
        selectors = [
            frozenset(one["spec"]["selector"]["matchLabels"].items())
            for one in case.rendered.workloads
        ]
        assert not [one for one in selectors for other in selectors if one < other]
        assert len({*selectors}) == len(selectors)


def without_differences(one: Object, lane: str) -> Object:
    """A pod's template without what lanes differ in: image, lane, and the names of configurations."""
    template: Object = copy.deepcopy(one["spec"]["template"])
    assert template["metadata"]["labels"].pop("rag-platform/lane") == lane
    template["metadata"]["annotations"].pop("checksum/config")
    spec = template["spec"]
    for constraint in spec["topologySpreadConstraints"]:
        assert constraint["labelSelector"]["matchLabels"].pop("rag-platform/lane") == lane
    for container in [*spec.get("initContainers", ()), *spec["containers"]]:
        container.pop("image")
        assert [source["configMapRef"]["name"] for source in container.pop("envFrom")] == [
            name(one)
        ]
    return template


def containers(one: Object) -> list[Object]:
    result: list[Object] = one["spec"]["template"]["spec"]["containers"]
    return result
