"""Images: by digest if there is one, with the pull secrets, and a canary's own."""

import pytest
from tools.chart.schema import default_values

from tests.support.chart.cases import FILES, Case, each_case
from tests.support.chart.rendering import Rendered, containers, render

DIGEST = "sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64


def images(rendered: Rendered) -> dict[str, str]:
    """The image of each container, by pod and name."""
    return {
        f"{pod}/{container['name']}": container["image"]
        for pod, spec in rendered.pods
        for container in containers(spec)
    }


@each_case
def test_a_digest_takes_precedence_over_the_tag(case: Case) -> None:
    switches = dict(case.positions)
    for place, image in images(case.rendered).items():
        own_tag = "canary/" in place or place.startswith("rag-gateway-canary")
        if switches.get("images") == "digest" and not own_tag and "-canary/" not in place:
            assert image.endswith("@" + DIGEST), place
        else:
            assert "@" in image or image.rpartition(":")[2], place


@each_case
def test_every_pod_has_the_pull_secrets(case: Case) -> None:
    wanted = [{"name": secret} for secret in case.values["image"]["pullSecrets"]]
    for pod, spec in case.rendered.pods:
        assert spec.get("imagePullSecrets", []) == wanted, pod


def test_images_have_the_chart_s_version_by_default() -> None:
    found = images(render({}, FILES["values-laptop"]))
    assert found["rag-gateway/gateway"] == "ghcr.io/rag-platform/rag-gateway:0.1.0"
    assert found["rag-edge/envoy"] == envoy()


def envoy() -> str:
    image = default_values()["edge"]["image"]
    return f"{image['repository']}:{image['tag']}"


@pytest.mark.parametrize(
    ("canary", "expected"),
    [
        ({}, f"@{DIGEST}"),
        ({"tag": "2.0.0"}, ":2.0.0"),
        ({"tag": "2.0.0", "digests": {"gateway": OTHER}}, f"@{OTHER}"),
    ],
    ids=["none", "tag", "digest"],
)
def test_a_canary_has_its_own_image(canary: dict[str, object], expected: str) -> None:
    values = {
        "image": {"digests": {"gateway": DIGEST}},
        "canary": {"enabled": True, "prometheus": "http://prometheus:9090", "image": canary},
    }
    found = images(render(values, FILES["values-laptop"]))
    registry = "ghcr.io/rag-platform/rag-gateway"
    assert found["rag-gateway-canary/gateway"] == registry + expected
    assert found["rag-gateway-baseline/gateway"] == f"{registry}@{DIGEST}"
    assert found["rag-gateway/gateway"] == f"{registry}@{DIGEST}"
