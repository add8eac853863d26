"""The workflows' linters are quiet, and would not be if something were wrong."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ZIZMOR = "zizmor --offline --quiet --no-progress --persona pedantic --strict-collection .github"
SCHEMA = "check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/ci.yaml"
WRONG = {
    "template-injection": ("run: make chart", 'run: make "${{ github.head_ref }}"'),
    "unpinned-uses": ("checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2", "checkout@v6"),
    "artipacked": ("persist-credentials: false", "fetch-depth: 1"),
    "excessive-permissions": ("permissions: {}", "permissions: write-all"),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the workflows."""
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    return tmp_path


def run(command: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command.split(), cwd=folder, env=os.environ, capture_output=True, text=True, check=False
    )


def change(folder: Path, before: str, after: str) -> None:
    path = folder / ".github" / "workflows" / "ci.yaml"
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after), "utf-8")


def test_make_lint_runs_both() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert f"$(BIN)/{ZIZMOR}\n" in makefile
    assert f"$(BIN)/{SCHEMA.replace('ci.yaml', '*.yaml')}\n" in makefile


def test_the_workflows_are_well(copy: Path) -> None:
    done = run(ZIZMOR, copy)
    assert done.returncode == 0, done.stdout
    assert run(SCHEMA, copy).returncode == 0


@pytest.mark.parametrize("audit", WRONG)
def test_what_is_dangerous_is_found(copy: Path, audit: str) -> None:
    change(copy, *WRONG[audit])
    done = run(ZIZMOR, copy)
    assert done.returncode != 0
    assert f"[{audit}]" in done.stdout


def test_a_misspelt_key_is_found(copy: Path) -> None:
    change(copy, "timeout-minutes: 20", "timeout-mintues: 20")
    done = run(SCHEMA, copy)
    assert done.returncode != 0
    assert "timeout-mintues" in done.stdout
