"""What pods are configured with is what the programs accept, and a change of it replaces them."""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from tools.chart.analysis import MEANINGS
from tools.chart.decided import decided
from tools.chart.package import SOURCE
from tools.chart.schema import merged
from tools.services import SERVICES

from rag_delivery.config import CanaryConfig, Step
from rag_edge.companion.settings import Settings as Companion
from rag_edge.edge_config import EdgeConfig
from tests.support.chart.cases import FILES, Case, each_case
from tests.support.chart.rendering import Object, Rendered, containers, name, render

LAPTOP = FILES["values-laptop"]
CHECKSUM = "checksum/config"


@each_case
def test_services_accept_all_their_variables(case: Case) -> None:
    services = [one for one in case.rendered.workloads if component(one) in SERVICES]
    assert len(services) >= len(SERVICES)
    for one in services:
        settings = case.settings(one)
        assert settings.host == "0.0.0.0"  # noqa: S104
        assert settings.region == case.values["region"]
        assert settings.tls == ("vault" if case.values["tls"]["mode"] == "vault" else "files")


@each_case
def test_a_service_s_paths_are_in_folders_that_are_mounted(case: Case) -> None:
    for one in case.rendered.workloads:
        if component(one) not in SERVICES:
            continue
        (container,) = one["spec"]["template"]["spec"]["containers"]
        mounts = [Path(mount["mountPath"]) for mount in container["volumeMounts"]]
        config = case.rendered.get("ConfigMap", name(one))["data"]
        for variable, value in config.items():
            path = Path(value.removeprefix("file:"))
            if path.is_absolute():
                assert any(path.is_relative_to(mount) for mount in mounts), (name(one), variable)


@each_case
def test_the_edge_accepts_its_configuration(case: Case, tmp_path: Path) -> None:
    config = edge_config(case.rendered, tmp_path)
    release = case.rendered.release
    assert config.gateways == [f"{release}-gateway:50051"]
    assert config.gateway_tls is True
    lanes = {lane.gateways[0].rpartition(":")[0] for lane in config.lanes}
    assert lanes <= {name(one) for one in case.rendered.of_kind("Service")}


@each_case
def test_the_companion_accepts_its_variables(case: Case) -> None:
    spec = case.rendered.get("Deployment", "rag-edge")["spec"]["template"]["spec"]
    for container in containers(spec):
        if "companion" not in " ".join(container.get("command", ())):
            continue
        variables = {one["name"]: str(one["value"]) for one in container["env"]}
        with patch.dict(os.environ, variables, clear=True):
            settings = Companion.load()
        assert settings.http_port == 50075
        drain = case.values["edge"]["drain"]
        assert (settings.drain_delay, settings.grace) == (drain["delay"], drain["grace"])


@each_case
def test_the_analysis_accepts_its_configuration(case: Case, tmp_path: Path) -> None:
    for one in case.rendered.of_kind("ConfigMap"):
        if "canary.toml" in one["data"]:
            file = tmp_path / "canary.toml"
            file.write_text(one["data"]["canary.toml"])
            assert CanaryConfig.load(file).port == 50076


def test_the_analysis_has_the_values_of_the_chart(tmp_path: Path) -> None:
    analysis = {
        "steps": [{"share": 5, "seconds": 60}],
        "samples": 20,
        "failures": {"slow": 4},
        "hold_seconds": 3600,
        "latency_ratio": 1.25,
    }
    canary = {"enabled": True, "prometheus": "http://p:9090", "analysis": analysis}
    data = render({"canary": canary}, LAPTOP).get("ConfigMap", "rag-canary")["data"]
    file = tmp_path / "canary.toml"
    file.write_text(data["canary.toml"])
    config = CanaryConfig.load(file)
    assert config == CanaryConfig(
        prometheus="http://p:9090",
        host="0.0.0.0",  # noqa: S104
        port=50076,
        report="/dev/termination-log",
        steps=config.steps,
        samples=20,
        failures={"slow": 4},
        hold_seconds=3600,
        latency_ratio=1.25,
    )
    assert [*config.steps] == [Step(5, 60)]


@each_case
def test_the_targets_of_callers_are_services_that_exist(case: Case) -> None:
    services = {
        f"dns:///{name(one)}:{port['port']}"
        for one in case.rendered.of_kind("Service")
        for port in one["spec"]["ports"]
    }
    for one in case.rendered.workloads:
        if component(one) in ("gateway", "ingestor"):
            config = case.rendered.get("ConfigMap", name(one))["data"]
            targets = {value for key, value in config.items() if key.endswith("_TARGET")}
            assert len(targets) == {"gateway": 4, "ingestor": 2}[component(one)]
            assert targets <= services


@pytest.mark.parametrize("service", SERVICES)
def test_a_setting_is_in_the_schema_or_decided_with_a_reason(service: str) -> None:
    exempt = decided(service)
    assert exempt.keys() <= SERVICES[service].model_fields.keys()
    assert all(exempt.values())


def test_the_edge_s_decided_settings_exist() -> None:
    assert decided("edge").keys() <= EdgeConfig.__dataclass_fields__.keys()


def test_the_analysis_s_settings_are_in_the_schema_or_decided() -> None:
    fields = {field.name for field in dataclasses.fields(CanaryConfig)}
    assert {*MEANINGS, *decided("canary")} == fields
    assert not MEANINGS.keys() & decided("canary").keys()


def test_the_collector_s_variables_are_those_of_its_configuration() -> None:
    text = (SOURCE / "files" / "collector" / "collector.yaml").read_text("utf-8")
    written = yaml.safe_load(Path("tools/chart/values.schema.yaml").read_text("utf-8"))
    known = written["properties"]["collector"]["properties"]["env"]["properties"]
    fixed = {
        "COLLECTOR_LISTEN",
        *(f"COLLECTOR_{p}_PORT" for p in ("GRPC", "HTTP", "HEALTH", "METRICS")),
    }
    assert set(re.findall(r"\$\{env:([A-Z_]+)", text)) == known.keys() | fixed


SERVICE_PODS = {f"rag-{service}" for service in SERVICES}
KEY = {"openai_api_key": {"secret": {"name": "a", "key": "b"}}}
CHANGES: dict[str, tuple[set[str], dict[str, Any]]] = {
    "setting": ({"rag-gateway"}, {"components": {"gateway": {"settings": {"searches": 9}}}}),
    "variable": (
        {"rag-generator"},
        {"components": {"generator": {"env": {"OTEL_LOGS_EXPORTER": "otlp"}}}},
    ),
    "file": ({"rag-retriever"}, {"components": {"retriever": {"files": {"a.toml": "b = 1"}}}}),
    "reference": ({"rag-generator"}, {"components": {"generator": {"secrets": KEY}}}),
    "edge": ({"rag-edge"}, {"edge": {"settings": {"leeway": 10}}}),
    "collector": ({*SERVICE_PODS, "rag-edge"}, {"collector": {"enabled": True}}),
    "replicas": (set(), {"components": {"gateway": {"replicas": 3}}, "edge": {"replicas": 2}}),
    "image": (set(), {"image": {"tag": "2.0.0"}}),
    "limits": (set(), {"components": {"gateway": {"resources": {"limits": {"memory": "1Gi"}}}}}),
    "monitoring": (set(), {"telemetry": {"rules": {"enabled": True}}}),
}


@pytest.mark.parametrize(("pods", "change"), CHANGES.values(), ids=CHANGES)
def test_a_checksum_changes_with_the_configuration_alone(
    change: dict[str, Any], pods: set[str]
) -> None:
    before, after = checksums(render({}, LAPTOP)), checksums(render(change, LAPTOP))
    assert {pod for pod, checksum in before.items() if after[pod] != checksum} == pods


def test_a_new_version_of_the_chart_restarts_no_pod_that_does_not_change() -> None:
    rendered = render({}, LAPTOP)
    for one in rendered.workloads:
        template = one["spec"]["template"]["metadata"]
        assert not template["labels"].keys() & {"helm.sh/chart", "app.kubernetes.io/version"}
        assert one["spec"]["selector"]["matchLabels"].items() <= template["labels"].items()


def test_large_numbers_are_written_without_exponent() -> None:
    settings = {"upload_bytes": 2**30, "max_message_bytes": 100_000_000}
    edge = {"upload_bytes": 2**30}
    values = merged(
        {}, {"components": {"gateway": {"settings": settings}}, "edge": {"settings": edge}}
    )
    rendered = render(values, LAPTOP)
    data = rendered.get("ConfigMap", "rag-gateway")["data"]
    assert (data["GATEWAY_UPLOAD_BYTES"], data["GATEWAY_MAX_MESSAGE_BYTES"]) == (
        "1073741824",
        "100000000",
    )
    assert (
        "upload_bytes = 1073741824\n" in rendered.get("ConfigMap", "rag-edge")["data"]["edge.toml"]
    )


def component(one: Object) -> str:
    result: str = one["metadata"]["labels"]["app.kubernetes.io/name"]
    return result


def edge_config(rendered: Rendered, folder: Path) -> EdgeConfig:
    file = folder / "edge.toml"
    file.write_text(rendered.get("ConfigMap", "rag-edge")["data"]["edge.toml"], "utf-8")
    return EdgeConfig.load(file)


def checksums(rendered: Rendered) -> dict[str, str]:
    templates = {name(one): one["spec"]["template"]["metadata"] for one in rendered.workloads}
    return {pod: meta.get("annotations", {}).get(CHECKSUM, "") for pod, meta in templates.items()}
