"""Each check of `make security` passes what is well, and really fails on what is not."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tools import security

ROOT = Path(__file__).resolve().parents[3]
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


def know(tree: Path, facts: Mapping[str, Mapping[str, bool]]) -> None:
    """Put what these files hold into the baseline, with these facts."""
    path = tree / security.BASELINE
    baseline = json.loads(path.read_text())
    baseline["results"] = {
        name: [{"type": kind, "hashed_secret": hashed, "filename": name, **facts[name]}]
        for name, kind, hashed in security.scanned(tree, baseline, list(facts))
    }
    path.write_text(json.dumps(baseline))


@pytest.mark.parametrize("check", [code, secrets, private_keys])
def test_a_clean_tree_passes(tree: Path, check: Any) -> None:
    outcome = check(tree)
    assert outcome.well, outcome
    assert not outcome.defects


UNSAFE = {
    "eval(input())": "B307",
    "exec(input())": "B102",
    "import subprocess\nsubprocess.run(input(), shell=True)": "B602",
    "import os\nos.system(input())": "B605",
    "import pickle": "B403",
    "import pickle\npickle.loads(input().encode())": "B301",
    "import tempfile\ntempfile.mktemp()": "B306",
    "import hashlib\nhashlib.md5(b'')": "B324",
    "import ssl\nssl._create_unverified_context()": "B323",
    "import httpx\nhttpx.get('', verify=False)": "B501",
    "import yaml\nyaml.load(input())": "B506",
    "query = f\"SELECT * FROM keys WHERE id = '{input()}'\"": "B608",
    "query = 'DELETE FROM keys WHERE id = ' + input()": "B608",
    "query = 'UPDATE keys SET id = %s' % input()": "B608",
    "query = 'INSERT INTO {} VALUES (1)'.format(input())": "B608",
}


def test_unsafe_code_fails(tree: Path) -> None:
    planted = {
        (f"{folder}/planted_{number}.py", rule, source)
        for folder in security.CODE
        for number, (source, rule) in enumerate(UNSAFE.items())
    }
    for name, _, source in planted:
        (tree / name).write_text(source)
    (tree / "libs" / "unreadable.py").write_text("def :")
    outcome = code(tree)
    assert not outcome.well
    assert any(defect.startswith("libs/unreadable.py: ") for defect in outcome.defects)
    reported = {tuple(defect.split(" ")[:2]) for defect in outcome.defects}
    missed = [
        (name, rule)
        for name, rule, source in planted
        if (f"{name}:{source.count(chr(10)) + 1}:", rule) not in reported
    ]
    assert missed == []


def test_no_code_fails(tree: Path) -> None:
    for folder in security.CODE:
        shutil.rmtree(tree / folder)
    assert not code(tree).well


def test_a_scanner_that_is_not_installed_fails(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tree / "bin" / "python"))
    monkeypatch.setenv("PATH", "")
    assert code(tree).summary == "bandit did not run: bandit is not installed"


def test_a_secret_fails_in_every_file(tree: Path) -> None:
    names = ["libs/planted.py", "tests/planted.py", "docs.md", ".env.example"]
    for name in names:
        (tree / name).write_text(ASSIGNED)
    outcome = secrets(tree)
    assert not outcome.well
    assert {defect.split(" ")[0] for defect in outcome.defects} == {f"{name}:1:" for name in names}


def test_a_known_secret_must_be_audited_as_none_and_be_in_a_test_and_still_be_there(
    tree: Path,
) -> None:
    facts: dict[str, dict[str, bool]] = {
        "tests/audited.py": {"is_secret": False},
        "tests/gone.py": {"is_secret": False},
        "tests/secret.py": {"is_secret": True},
        "tests/unaudited.py": {},
        "libs/audited.py": {"is_secret": False},
    }
    for name in facts:
        (tree / name).write_text(ASSIGNED)
    know(tree, facts)
    (tree / "tests/gone.py").write_text(CLEAN)
    outcome = secrets(tree)
    assert not outcome.well
    assert {defect.split(":")[0] for defect in outcome.defects} == facts.keys() - {
        "tests/audited.py"
    }


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.OpenSSH])
def test_a_private_key_fails_unless_git_ignores_it(tree: Path, form: PrivateFormat) -> None:
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, form, NoEncryption())
    (tree / "ignored").mkdir()
    for folder in ("ignored", "tests"):
        (tree / folder / "key.bin").write_bytes(b"\x00" + key)
    assert private_keys(tree).defects == ["tests/key.bin: holds a private key"]


@pytest.mark.parametrize("check", [secrets, private_keys])
def test_a_folder_that_git_does_not_know_fails(tmp_path: Path, check: Any) -> None:
    shutil.copy(ROOT / security.BASELINE, tmp_path)
    assert not check(tmp_path).well


def test_the_command_fails_if_a_check_does_and_prints_a_line_for_each(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unsafe = security.Outcome(False, "1 defect", ["libs/planted.py:1: B307"])
    unreachable = security.Outcome(True, "NOT AUDITED", (), False)
    monkeypatch.setattr(security, "code", lambda _root: unsafe)
    monkeypatch.setattr(security, "dependencies", lambda *_args, **_options: unreachable)
    monkeypatch.setattr(sys, "argv", ["security", str(tree)])
    assert security.main() == 1
    output = capsys.readouterr()
    assert [line[:4] for line in output.out.splitlines()] == ["FAIL", "ok  ", "ok  ", "NONE"]
    assert "libs/planted.py:1: B307" in output.err
