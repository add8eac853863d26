"""Every alert fires when it should, is silent when it should, has a page, and asks for metrics that exist."""

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.observability.conftest import (
    ALERTS,
    DEPLOYED,
    FOREIGN,
    NAMES,
    ROOT,
    RULES,
    RUNBOOKS,
    rules,
)

TRIED = sorted((Path(__file__).parent / "rules").glob("*.yaml"))
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
    found = METRIC.findall(MATCHERS.sub("", LABELS.sub("", expr)))
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in found}


def recorded() -> set[str]:
    return {rule["record"] for rule in rules() if "record" in rule}


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_promtool_takes_the_rules(path: Path, promtool: str) -> None:
    checked(promtool, "check", "rules", path)


@pytest.mark.parametrize("path", TRIED, ids=lambda path: path.stem)
def test_alerts_fire_and_are_silent_as_tried(path: Path, promtool: str) -> None:
    checked(promtool, "test", "rules", path)


def tries() -> list[tuple[str, list[dict[str, Any]]]]:
    """Each try: the alert's name, and the alerts of that name that are expected then."""
    files = [yaml.safe_load(path.read_text("utf-8")) for path in TRIED]
    tests = [test for file in files for test in file["tests"]]
    return [(one["alertname"], one["exp_alerts"]) for t in tests for one in t["alert_rule_test"]]


@pytest.mark.parametrize("name", NAMES)
def test_every_alert_is_tried_firing_and_silent(name: str) -> None:
    expected = [alerts for tried, alerts in tries() if tried == name]
    assert [] in expected
    assert any(expected)


def test_every_severity_and_window_of_an_alert_is_tried_firing() -> None:
    told = {
        (name, one["exp_labels"]["severity"], one["exp_labels"].get("window"))
        for name, alerts in tries()
        for one in alerts
    }
    labelled = [(rule["alert"], rule["labels"]) for rule in ALERTS]
    assert {(name, found["severity"], found.get("window")) for name, found in labelled} == told


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_urgent_it_is_and_what_is_wrong(rule: dict[str, Any]) -> None:
    assert re.fullmatch("Rag([A-Z][a-z0-9]+)+", rule["alert"])
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    told = rule["annotations"]["description"]
    assert "$value" in told or "$labels" in told or rule["alert"] == "RagEdgeDown"


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_points_at_its_own_runbook(rule: dict[str, Any]) -> None:
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
    asked = {metric for query in queries(name) for metric in metrics(query)}
    assert asked
    assert asked - contract() - recorded() - OTHERS == set()


def test_every_query_of_a_runbook_can_be_asked(tmp_path: Path, promtool: str) -> None:
    asked = [{"record": f"{name}:query", "expr": q} for name in NAMES for q in queries(name)]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "runbooks", "rules": asked}]}))
    checked(promtool, "check", "rules", "--lint=none", path)


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
    asked = metrics(rule["expr"])
    assert asked
    assert asked - contract() - recorded() - OTHERS == set()


def test_promtool_takes_the_configuration_of_one_machine(promtool: str) -> None:
    checked(promtool, "check", "config", DEPLOYED / "prometheus" / "prometheus.yml")


def checked(promtool: str, *arguments: str | Path) -> None:
    done = subprocess.run(
        [promtool, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
