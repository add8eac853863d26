"""Unit tests of alerting rules, in a shorter form than promtool's own.

A test has `series` (values every `interval`, 1m by default), the times at which each alert is
`silent`, and the alerts that are `firing` at a time. Rules are evaluated `every` 1m by default.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.support.observability.fixtures import DEPLOYED

RULE_TESTS = Path(__file__).resolve().parents[2] / "component" / "observability" / "rules"
RULE_FOLDER = DEPLOYED / "prometheus" / "rules"

Test = dict[str, Any]


def rule_tests() -> dict[str, list[Test]]:
    """The tests by the name of the rule file that they are for."""
    return {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in RULE_TESTS.glob("*")}


def check(promtool: str, *arguments: str | Path) -> None:
    """Fail with promtool's output unless it succeeds."""
    done = subprocess.run(
        [promtool, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def run_rule_tests(
    promtool: str, folder: Path, rules: Sequence[str], tests: Sequence[Test]
) -> None:
    """Run the tests of the named rule files; promtool's files are written to the folder."""
    paths = []
    for every in sorted({test.get("every", "1m") for test in tests}):
        group = [test for test in tests if test.get("every", "1m") == every]
        paths.append(folder / f"{every}.yaml")
        paths[-1].write_text(yaml.safe_dump(_promtool_file(rules, every, group)), "utf-8")
    check(promtool, "test", "rules", *paths)


def _promtool_file(rules: Sequence[str], every: str, tests: Sequence[Test]) -> dict[str, Any]:
    files = [RULE_FOLDER / f"{name}.yaml" for name in rules]
    groups = [group for path in files for group in yaml.safe_load(path.read_text())["groups"]]
    return {
        "rule_files": list(map(str, files)),
        "evaluation_interval": every,
        # Otherwise it is chance whether a rule sees the present or the previous value of another group's.
        "group_eval_order": [group["name"] for group in groups],
        "tests": [_promtool_test(test) for test in tests],
    }


def _promtool_test(test: Test) -> dict[str, Any]:
    series = [{"series": name, "values": values} for name, values in test["series"].items()]
    expected: dict[tuple[str, str], list[dict[str, Any]]] = {
        (at, alert): [] for alert, times in test.get("silent", {}).items() for at in times
    }
    for firing in test.get("firing", []):
        at, alert = firing["at"], firing["labels"]["alertname"]
        expected.setdefault((at, alert), []).append(_promtool_alert(alert, firing))
    checks = [
        {"eval_time": at, "alertname": alert, "exp_alerts": alerts}
        for (at, alert), alerts in expected.items()
    ]
    interval = test.get("interval", "1m")
    return {"interval": interval, "input_series": series, "alert_rule_test": checks}


def _promtool_alert(alert: str, firing: dict[str, Any]) -> dict[str, Any]:
    labels = {name: value for name, value in firing["labels"].items() if name != "alertname"}
    annotations = {key: firing[key] for key in ("summary", "description")}
    annotations["runbook_url"] = f"docs/runbooks/{alert}.md"
    return {"exp_labels": labels, "exp_annotations": annotations}
