"""Every alert fires when it should, is silent when it should, has a page, and asks for metrics that exist."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.observability.fixtures import (
    ALERTS,
    DEPLOYED,
    FOREIGN,
    NAMES,
    ROOT,
    RULES,
    RUNBOOKS,
    rules,
)
from tests.support.observability.promtool import Test, check, rule_tests, run_rule_tests
from tests.support.observability.slo_tests import SLO_TESTS

TESTS: dict[tuple[str, ...], list[Test]] = {(name,): tests for name, tests in rule_tests().items()}
TESTS["slo-ratios", "slo-burn"] = SLO_TESTS
PARTS = ["What it means", "First look", "Mitigation", "Escalation"]
# A metric, as PromQL writes it, when texts and the lists of labels are gone.
METRIC = re.compile(
    r"\b(?:rag_|process_|python_|envoy_|prometheus_|alertmanager_|rag:)[\w:]+|\bup\b"
)
LABELS = re.compile(r'"[^"]*"|\b(?:by|on|without|ignoring|group_left|group_right) *\([^)]*\)')
MATCHERS = re.compile(r"\{[^}]*\}")
# What is not the services' own; test_prometheus.py finds it in real ones.
OTHERS = {"up", *FOREIGN}


@cache
def contract() -> set[str]:
    """What the services expose, as docs/metrics.md, which is made from the code, says."""
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    return set(re.findall(r"`((?:rag|process|python)_\w+)", page))


def metrics(expr: str) -> set[str]:
    """The metrics that an expression asks for, without what histograms put behind their names."""
    result = METRIC.findall(MATCHERS.sub("", LABELS.sub("", expr)))
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in result}


def recorded() -> set[str]:
    return {rule["record"] for rule in rules() if "record" in rule}


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_promtool_takes_the_rules(path: Path, promtool: str) -> None:
    check(promtool, "check", "rules", path)


@pytest.mark.parametrize("files", TESTS, ids=lambda files: files[-1])
def test_alerts_fire_and_are_silent_as_expected(
    files: Sequence[str], promtool: str, tmp_path: Path
) -> None:
    run_rule_tests(promtool, tmp_path, files, TESTS[tuple(files)])


def test_every_alert_is_tested_silent_and_with_each_severity_and_window_firing() -> None:
    tests: list[Test] = [test for file in TESTS.values() for test in file]
    assert {alert for test in tests for alert in test.get("silent", {})} == set(NAMES)
    firing = [one["labels"] for test in tests for one in test.get("firing", [])]
    assert {kind(one["alertname"], one) for one in firing} == {
        kind(rule["alert"], rule["labels"]) for rule in ALERTS
    }


def kind(alert: str, labels: dict[str, str]) -> tuple[str, str, str | None]:
    return alert, labels["severity"], labels.get("window")


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_has_a_severity_a_description_and_a_runbook(rule: dict[str, Any]) -> None:
    assert re.fullmatch("Rag([A-Z][a-z0-9]+)+", rule["alert"])
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    description = rule["annotations"]["description"]
    assert "$value" in description or "$labels" in description or rule["alert"] == "RagEdgeDown"
    base, path = "{{ $externalLabels.runbooks }}", f"docs/runbooks/{rule['alert']}.md"
    assert rule["annotations"]["runbook_url"] == base + path
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_has_its_four_parts_each_with_something_in_it(name: str) -> None:
    parts = re.split(r"^## ", (RUNBOOKS / f"{name}.md").read_text("utf-8"), flags=re.MULTILINE)
    assert parts[0].startswith(f"# {name}\n")
    assert [part.partition("\n")[0] for part in parts[1:]] == PARTS
    assert all(len(part.partition("\n")[2].strip()) > 40 for part in parts[1:])
    assert "```" in parts[2]


def test_every_runbook_is_of_an_alert_and_in_the_table() -> None:
    assert sorted(p.stem for p in RUNBOOKS.glob("*.md") if p.stem != "README") == NAMES
    table = (RUNBOOKS / "README.md").read_text("utf-8")
    assert re.findall(r"^\| \[(\w+)\]\(\1\.md\)", table, flags=re.MULTILINE) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_what_a_runbook_queries_exists(name: str) -> None:
    requested = {metric for query in queries(name) for metric in metrics(query)}
    assert requested
    assert requested - contract() - recorded() - OTHERS == set()


def test_every_query_of_a_runbook_can_be_asked(tmp_path: Path, promtool: str) -> None:
    requested = [{"record": f"{name}:query", "expr": q} for name in NAMES for q in queries(name)]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "runbooks", "rules": requested}]}))
    check(promtool, "check", "rules", "--lint=none", path)


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_the_pages_that_a_runbook_links_to_are_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).is_file()] == []


def queries(name: str) -> list[str]:
    """What a runbook asks Prometheus, a query a line."""
    page = (RUNBOOKS / f"{name}.md").read_text("utf-8")
    blocks: list[str] = re.findall(r"```promql\n(.*?)```", page, flags=re.DOTALL)
    return [line for block in blocks for line in block.strip().splitlines()]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_what_a_rule_asks_for_exists(rule: dict[str, Any]) -> None:
    requested = metrics(rule["expr"])
    assert requested
    assert requested - contract() - recorded() - OTHERS == set()


def test_promtool_takes_the_configuration_of_one_machine(promtool: str) -> None:
    check(promtool, "check", "config", DEPLOYED / "prometheus" / "prometheus.yml")
