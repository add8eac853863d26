"""What the checks of the protobuf contracts say: to whoever breaks one, and to whoever mistypes one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
RETRIEVER = "protos/rag/retriever/v1/retriever_service.proto"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the contracts with the programs that check them."""
    for name in ("protos", "tools"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    (tmp_path / "libs").mkdir()
    return tmp_path


def run(folder: Path, module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def change(folder: Path, before: str, after: str) -> None:
    file = folder / RETRIEVER
    text = file.read_text("utf-8")
    assert before in text
    file.write_text(text.replace(before, after, 1), "utf-8")


BREAKING = {
    'RPC "DeleteIndex"': ("rpc DeleteIndex(", "rpc RemoveIndex("),
    'field "1"': ("repeated Index indexes = 1;", "repeated Index indexes = 7;"),
    "changed type": ("string index = 1;", "int64 index = 1;"),
    'enum value "2"': ("FUSION_RRF = 2;", "FUSION_RRF = 9;"),
}


def test_changes_that_break_callers_are_refused(copy: Path) -> None:
    for before, after in BREAKING.values():
        change(copy, before, after)
    done = run(copy, "tools.contracts.breaking")
    assert done.returncode != 0
    assert [text for text in BREAKING if text not in done.stdout + done.stderr] == []


def test_a_new_field_breaks_nobody(copy: Path) -> None:
    before = "repeated Index indexes = 1;"
    change(copy, before, f"{before}\n  // How many.\n  uint32 total = 2;")
    assert run(copy, "tools.contracts.breaking").returncode == 0


def test_a_mistake_in_a_contract_is_told_in_protocs_words_alone(copy: Path) -> None:
    change(copy, "repeated Index indexes = 1;", "repeted Index indexes = 1;")
    done = run(copy, "tools.contracts.stubs")
    assert done.returncode == 1
    assert "retriever_service.proto:" in done.stderr
    assert "Traceback" not in done.stderr
