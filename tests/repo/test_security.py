"""Each check of `make security` passes what is well, and really fails on what is not."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from scripts import security

ROOT = Path(__file__).resolve().parents[2]
CLEAN = '"""Adds."""\n\n\ndef add(one: int, other: int) -> int:\n    return one + other\n'
# In two parts, or this file would hold it.
PLANTED = "AKIA" + "Q3E5T7Y9U2I4O6PA"
ASSIGNED = f'KEY = "{PLANTED}"\n'


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A work tree of ours in little, with nothing wrong in it."""
    for folder in (*security.CODE, "tests"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "module.py").write_text(CLEAN)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    baseline = json.loads((ROOT / security.BASELINE).read_text())
    (tmp_path / security.BASELINE).write_text(json.dumps({**baseline, "results": {}}))
    (tmp_path / ".gitignore").write_text("ignored/\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)  # noqa: S607
    return tmp_path


def code(tree: Path) -> security.Outcome:
    return security.code(tree)


def secrets(tree: Path) -> security.Outcome:
    return security.secrets(tree, security.tracked(tree))


def private_keys(tree: Path) -> security.Outcome:
    return security.private_keys(tree, security.tracked(tree))


def know(tree: Path, name: str, **facts: Any) -> None:
    """Put what a file holds into the baseline."""
    path = tree / security.BASELINE
    baseline = json.loads(path.read_text())
    baseline["results"] = {
        name: [{"type": kind, "hashed_secret": hashed, "filename": name, **facts}]
        for name, kind, hashed in security.scanned(tree, baseline, [name])
    }
    path.write_text(json.dumps(baseline))


@pytest.mark.parametrize("check", [code, secrets, private_keys])
def test_a_clean_tree_is_well(tree: Path, check: Any) -> None:
    found = check(tree)
    assert found.well, found
    assert not found.defects


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("print(eval(input()))", "B307"),
        ("import subprocess\nsubprocess.run(input(), shell=True)", "B602"),
        ("import pickle\npickle.loads(input().encode())", "B301"),
        ("import hashlib\nhashlib.md5(b'')", "B324"),
        ("import ssl\nssl._create_unverified_context()", "B323"),
        ("import yaml\nyaml.load(input())", "B506"),
        ("import sqlite3\nsqlite3.connect('').execute('SELECT 1 FROM ' + input())", "B608"),
    ],
)
@pytest.mark.parametrize("folder", security.CODE)
def test_unsafe_code_fails(tree: Path, folder: str, source: str, rule: str) -> None:
    (tree / folder / "planted.py").write_text(source)
    found = code(tree)
    assert not found.well
    assert any("planted.py" in defect and rule in defect for defect in found.defects)


def test_code_that_cannot_be_read_fails(tree: Path) -> None:
    (tree / "libs" / "planted.py").write_text("def :")
    assert not code(tree).well


def test_no_code_fails(tree: Path) -> None:
    for folder in security.CODE:
        shutil.rmtree(tree / folder)
    assert not code(tree).well


def test_a_scanner_that_is_not_installed_fails(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tree / "bin" / "python"))
    monkeypatch.setenv("PATH", "")
    assert code(tree).summary == "bandit did not run: bandit is not installed"


@pytest.mark.parametrize("name", ["libs/planted.py", "tests/planted.py", "docs.md", ".env.example"])
def test_a_secret_fails(tree: Path, name: str) -> None:
    (tree / name).write_text(ASSIGNED)
    found = secrets(tree)
    assert not found.well
    assert found.defects[0].startswith(f"{name}:1:")


def test_a_secret_that_is_audited_as_none_in_a_test_is_well(tree: Path) -> None:
    (tree / "tests" / "planted.py").write_text(ASSIGNED)
    know(tree, "tests/planted.py", is_secret=False)
    assert secrets(tree).well


@pytest.mark.parametrize("facts", [{}, {"is_secret": True}])
def test_a_known_secret_that_nobody_has_audited_as_none_fails(
    tree: Path, facts: dict[str, bool]
) -> None:
    (tree / "tests" / "planted.py").write_text(ASSIGNED)
    know(tree, "tests/planted.py", **facts)
    assert not secrets(tree).well


def test_a_known_secret_outside_the_tests_fails(tree: Path) -> None:
    (tree / "libs" / "planted.py").write_text(ASSIGNED)
    know(tree, "libs/planted.py", is_secret=False)
    assert not secrets(tree).well


def test_a_known_secret_that_is_no_longer_there_fails(tree: Path) -> None:
    (tree / "tests" / "planted.py").write_text(ASSIGNED)
    know(tree, "tests/planted.py", is_secret=False)
    (tree / "tests" / "planted.py").write_text(CLEAN)
    assert not secrets(tree).well


@pytest.mark.parametrize(
    "form", [PrivateFormat.PKCS8, PrivateFormat.OpenSSH], ids=["pkcs8", "openssh"]
)
def test_a_private_key_fails_wherever_it_stands(tree: Path, form: PrivateFormat) -> None:
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, form, NoEncryption())
    (tree / "tests" / "key.bin").write_bytes(b"\x00" + key)
    assert private_keys(tree).defects == ["tests/key.bin: holds a private key"]


def test_what_git_ignores_is_not_looked_at(tree: Path) -> None:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tree / "ignored").mkdir()
    (tree / "ignored" / "key.pem").write_bytes(pem)
    assert private_keys(tree).well


@pytest.mark.parametrize("check", [secrets, private_keys])
def test_a_folder_that_git_does_not_know_fails(tmp_path: Path, check: Any) -> None:
    shutil.copy(ROOT / security.BASELINE, tmp_path)
    assert not check(tmp_path).well


def test_the_command_fails_where_a_check_does_and_says_a_line_for_each(tree: Path) -> None:
    (tree / "libs" / "planted.py").write_text("print(eval(input()))")
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "security.py"), str(tree)],
        capture_output=True,
        text=True,
        env={**os.environ, "AUDIT_REQUIRED": "false"},
    )
    assert done.returncode == 1
    assert [line[:4] for line in done.stdout.splitlines()][:3] == ["FAIL", "ok  ", "ok  "]
    assert "libs/planted.py:1: B307" in done.stderr
