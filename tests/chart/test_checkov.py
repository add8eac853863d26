"""checkov finds nothing in the chart's objects but what is accepted with a reason."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.chart.cases import pairwise, plain
from tests.support.parts import tool

ACCEPTED = yaml.safe_load(Path(__file__).with_name("checkov.yaml").read_text("utf-8"))
# The values files as they are, and combinations with NetworkPolicies, whose lack is a finding.
CASES = [
    *plain(),
    *[case for case in pairwise() if dict(case.positions)["networkPolicy"] != "none"][:5],
]


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


@pytest.mark.xdist_group("checkov")
def test_a_privileged_pod_is_found(findings: set[tuple[str, str]]) -> None:
    assert ("CKV_K8S_16", "Pod.control.control") in findings


def accepted(check: str, resource: str) -> bool:
    return any(matches(exception, check, resource) for exception in ACCEPTED)


def matches(exception: dict[str, str], check: str, resource: str) -> bool:
    return exception["check"] == check and bool(re.fullmatch(exception["objects"], resource))


def is_control(resource: str) -> bool:
    return resource.endswith(".control")
