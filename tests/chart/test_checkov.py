"""checkov finds nothing in the chart's objects but what is accepted with a reason."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.chart.cases import SWITCHES, Case, pairwise, plain
from tests.support.parts import tool

ACCEPTED = yaml.safe_load(Path(__file__).with_name("checkov.yaml").read_text("utf-8"))
# Its lack of NetworkPolicies is a finding.
OPEN = ("networkPolicy", "none")


def covering() -> list[Case]:
    """The values files as they are, and few combinations that together have every position but OPEN."""
    rest = [case for case in pairwise() if OPEN not in case.positions]
    chosen, seen = plain(), {OPEN}
    while rest:
        best = max(rest, key=lambda case: len({*case.positions} - seen))
        if {*best.positions} <= seen:
            return chosen
        chosen.append(best)
        seen |= {*best.positions}
    return chosen


CASES = covering()


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """Checks that failed, each with its object."""
    folder = tmp_path_factory.mktemp("checkov")
    for case in CASES:
        (folder / f"{case}.yaml").write_text(yaml.safe_dump_all(case.rendered.own), "utf-8")
    # A pod that must be found.
    (folder / "control.yaml").write_text(json.dumps(CONTROL))
    program = tool("checkov", "run `make chart`")
    done = subprocess.run(
        [program, "-d", folder, "--framework", "kubernetes", "--skip-download", "-o", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["resource_count"] > 50 * len(plain())
    return {(one["check_id"], one["resource"]) for one in report["results"]["failed_checks"]}


CONTROL = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "control", "namespace": "control"},
    "spec": {
        "containers": [{"name": "a", "image": "a:1", "securityContext": {"privileged": True}}]
    },
}


@pytest.mark.xdist_group("checkov")
def test_nothing_is_found_that_is_not_accepted(findings: set[tuple[str, str]]) -> None:
    assert [one for one in sorted(findings) if not accepted(*one) and not is_control(one[1])] == []


@pytest.mark.xdist_group("checkov")
def test_each_exception_is_needed(findings: set[tuple[str, str]]) -> None:
    for exception in ACCEPTED:
        assert exception["reason"]
        assert any(matches(exception, *one) for one in findings if not is_control(one[1])), (
            exception
        )


def test_every_position_of_a_switch_is_scanned() -> None:
    scanned = {position for case in CASES for position in case.positions}
    wanted = {(switch, position) for switch in SWITCHES for position in SWITCHES[switch]}
    assert scanned == wanted - {OPEN}


@pytest.mark.xdist_group("checkov")
def test_a_privileged_pod_is_found(findings: set[tuple[str, str]]) -> None:
    assert ("CKV_K8S_16", "Pod.control.control") in findings


def accepted(check: str, resource: str) -> bool:
    return any(matches(exception, check, resource) for exception in ACCEPTED)


def matches(exception: dict[str, str], check: str, resource: str) -> bool:
    return exception["check"] == check and bool(re.fullmatch(exception["objects"], resource))


def is_control(resource: str) -> bool:
    return resource.endswith(".control")
