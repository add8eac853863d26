"""The workflows call what the repository has, with no more rights than they name and nothing unpinned."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / ".github"
WORKFLOWS = {path.stem: path for path in (FOLDER / "workflows").glob("*.yaml")}
TEXTS = {path.name: path.read_text("utf-8") for path in FOLDER.rglob("*") if path.is_file()}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
PINNED = re.compile(r"(\./\S+|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)")
# What an event carries and somebody outside of the repository can choose.
EXPRESSION = re.compile(r"\$\{\{.*?\}\}")


def workflow(name: str) -> dict[str, Any]:
    return yaml.safe_load(WORKFLOWS[name].read_text("utf-8"))


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in WORKFLOWS:
        for job, content in workflow(name)["jobs"].items():
            yield f"{name}.{job}", content


JOBS = dict(jobs())


def test_there_are_three_workflows() -> None:
    assert WORKFLOWS.keys() == {"ci", "nightly", "release"}


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_every_action_is_pinned_by_its_commit_and_says_which_version_that_is(name: str) -> None:
    used = re.findall(r"uses: *(.*)", TEXTS[name])
    assert [one for one in used if not PINNED.fullmatch(one.strip())] == []


def test_an_action_has_one_version() -> None:
    used = set(re.findall(r"uses: *([\w./-]+@\S+)", "\n".join(TEXTS.values())))
    assert len(used) == len({one.partition("@")[0] for one in used})


@pytest.mark.parametrize("name", sorted(JOBS))
def test_every_job_states_its_rights_and_ends(name: str) -> None:
    assert "permissions" in JOBS[name]
    assert "write-all" not in str(JOBS[name]["permissions"])
    assert 0 < JOBS[name]["timeout-minutes"] < 360


@pytest.mark.parametrize("name", sorted(WORKFLOWS))
def test_a_workflow_has_no_rights_of_its_own_and_runs_once(name: str) -> None:
    assert workflow(name)["permissions"] == {}
    assert workflow(name)["concurrency"]["group"]


@pytest.mark.parametrize("name", sorted(JOBS))
def test_no_step_writes_an_expression_into_a_shell(name: str) -> None:
    scripts = [step.get("run", "") for step in JOBS[name]["steps"]]
    assert [script for script in scripts if EXPRESSION.search(script)] == []


@pytest.mark.parametrize("name", ["ci", "nightly"])
def test_only_a_release_writes(name: str) -> None:
    for job, content in JOBS.items():
        if job.startswith(name):
            assert set(content["permissions"].values()) <= {"read"}, job


def test_every_target_of_make_that_is_called_exists() -> None:
    called = set(re.findall(r"\bmake ([a-z-]+)", "\n".join(TEXTS.values())))
    drills = JOBS["nightly.drill"]["strategy"]["matrix"]["target"]
    assert (called | set(drills)) - TARGETS == set()


def test_every_file_and_module_that_is_called_exists() -> None:
    text = "\n".join(TEXTS.values())
    assert [path for path in re.findall(r"bash (\.\S+)", text) if not (ROOT / path).is_file()] == []
    modules = re.findall(r"python -m ([\w.]+)", text)
    assert [one for one in modules if not (ROOT / f"{one.replace('.', '/')}.py").is_file()] == []


def test_a_release_publishes_the_image_of_every_service() -> None:
    services = {path.name for path in (ROOT / "services").iterdir() if path.is_dir()}
    assert set(JOBS["release.publish"]["strategy"]["matrix"]["service"]) == services


def test_nothing_is_published_before_the_tests_have_passed() -> None:
    needs = {job: content.get("needs", []) for job, content in workflow("release")["jobs"].items()}
    assert needs == {"check": [], "images": "check", "publish": "images", "chart": "publish"}


def test_the_servers_of_tests_are_those_that_the_script_installs() -> None:
    installed = re.findall(r"^install_from .*/(\S+)$", TEXTS["servers.sh"], re.MULTILINE)
    for name in WORKFLOWS:
        servers = {k: v for k, v in workflow(name)["env"].items() if k.endswith("_SERVER")}
        assert sorted(servers.values()) == sorted(installed)
    known = set(
        re.findall(r"^  export (.*)$", (ROOT / ".ci/run").read_text("utf-8"), re.MULTILINE)[
            0
        ].split()
    )
    assert {k for k in servers if k.endswith("_SERVER")} == {
        k for k in known if k.endswith("_SERVER")
    }


def test_the_versions_of_servers_are_read_from_the_observability_stack() -> None:
    compose = (ROOT / "deploy/observability/compose.yaml").read_text("utf-8")
    images = re.findall(r"\$\(image (\S+)\)", TEXTS["servers.sh"])
    assert len(images) == 3
    assert [image for image in images if not re.search(rf"{image}:\d", compose)] == []
