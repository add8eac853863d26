"""Alerts, autoscalers and dashboards refer to metrics that exist."""

import re
from typing import Any

import pytest
import yaml
from tools.chart.schema import default_values
from tools.services import SERVICES

from tests.support.chart.cases import FILES, Case, each_case
from tests.support.chart.graph import is_rollout
from tests.support.chart.rendering import name, render
from tests.support.observability.fixtures import FOREIGN, ROOT

METRICS = (ROOT / "docs" / "metrics.md").read_text("utf-8")
DECLARED = set(re.findall(r"^\| `(\w+)`", METRICS, re.MULTILINE))
# Envoy's own, which tests/component/edge reads from a real one.
ENVOY = {"envoy_http_downstream_rq_active"}
ALL: dict[str, Any] = {
    "telemetry": {
        "rules": {"enabled": True, "runbooks": "https://books/"},
        "dashboards": {"enabled": True},
    }
}


@pytest.mark.parametrize("component", [*SERVICES, "edge"])
def test_a_component_is_scaled_by_a_metric_that_exists(component: str) -> None:
    values = default_values()
    part = values["edge"] if component == "edge" else values["components"][component]
    metric = part["autoscaling"]["metric"]["name"]
    assert metric in (ENVOY if component == "edge" else DECLARED)


@each_case
def test_scalers_ask_for_the_component_s_metric(case: Case) -> None:
    values = case.values
    parts = {**values["components"], "edge": values["edge"]}
    for scaler in case.rendered.of_kind("HorizontalPodAutoscaler", "ScaledObject"):
        component = scaler["metadata"]["labels"]["app.kubernetes.io/name"]
        metric = parts[component]["autoscaling"]["metric"]
        # Pods of a Rollout are in the lanes baseline and canary, which are scaled together.
        lane = {} if is_rollout(component, values) else {"lane": "stable"}
        wanted = {"service": component, **lane}
        if scaler["kind"] == "ScaledObject":
            query = scaler["spec"]["triggers"][0]["metadata"]["query"]
            labels = ",".join(f'{label}="{value}"' for label, value in wanted.items())
            namespace = f'namespace="rag",{labels}'
            assert query == f"{metric['aggregate']}({metric['name']}{{{namespace}}})"
        else:
            external = scaler["spec"]["metrics"][0]["external"]
            assert external["metric"]["name"] == metric["name"]
            assert external["metric"]["selector"]["matchLabels"] == wanted


def test_the_rules_are_those_of_the_repository() -> None:
    rendered = render(ALL, FILES["values-laptop"])
    folder = ROOT / "deploy" / "observability" / "prometheus" / "rules"
    for file in folder.glob("*.yaml"):
        text = file.read_text("utf-8").replace("{{ $externalLabels.runbooks }}", "https://books/")
        rule = rendered.get("PrometheusRule", f"rag-{file.stem}")
        groups = yaml.safe_load(text)["groups"]
        for alert in (one for group in groups for one in group["rules"] if "alert" in one):
            alert["labels"] = {"region": "laptop", **alert["labels"]}
        assert rule["spec"]["groups"] == groups, file.name


def test_alerts_ask_for_metrics_that_exist() -> None:
    rules = [
        rule
        for one in render(ALL, FILES["values-laptop"]).of_kind("PrometheusRule")
        for group in one["spec"]["groups"]
        for rule in group["rules"]
    ]
    recorded = {rule["record"] for rule in rules if "record" in rule}
    known = DECLARED | recorded | {"up", *FOREIGN}
    asked = {metric for rule in rules for metric in metrics(rule["expr"])}
    assert asked
    assert asked - known == set()


def metrics(expression: str) -> set[str]:
    """The metrics of ours in an expression, without what histograms add to their names."""
    text = re.sub(
        r'"[^"]*"|\{[^}]*\}|\b(?:by|on|without|ignoring|group_left) *\([^)]*\)', "", expression
    )
    names = re.findall(r"\b(?:rag_|process_|python_|rag:)[\w:]+", text)
    return {re.sub(r"_(bucket|count|sum)$", "", one) for one in names}


def test_every_dashboard_is_a_config_map_that_a_sidecar_finds() -> None:
    rendered = render(ALL, FILES["values-laptop"])
    boards = [one for one in rendered.of_kind("ConfigMap") if "-dashboard-" in name(one)]
    folder = ROOT / "deploy" / "observability" / "grafana" / "dashboards"
    assert {file for one in boards for file in one["data"]} == {
        path.name for path in folder.glob("*.json")
    }
    assert {one["metadata"]["labels"]["grafana_dashboard"] for one in boards} == {"1"}
