"""A prepared model whose files are damaged is noticed before it serves, and prepared anew."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rag_embedder.models import checksums
from rag_embedder.models.prepare_model import BUILT_IN, prepared_directory
from tests.support.parts import prepared_models


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with a copy of the prepared model."""
    shutil.copytree(prepared_directory(prepared_models(), BUILT_IN, "int8"), _model(tmp_path))
    return tmp_path


def _model(models: Path) -> Path:
    return prepared_directory(models, BUILT_IN, "int8")


def _damage(models: Path) -> str:
    largest = max(_model(models).iterdir(), key=lambda path: path.stat().st_size)
    with largest.open("r+b") as file:
        file.seek(largest.stat().st_size // 2)
        file.write(b"\0damage\0")
    return largest.name


def _run(module: str, models: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"EMBEDDER_MODELS_DIR": str(models)}
    command = [sys.executable, "-m", module]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_the_init_step_accepts_a_whole_model_at_once(models: Path) -> None:
    started = time.monotonic()
    assert checksums.damaged(_model(models)) == []
    assert time.monotonic() - started < 5
    assert "is ready" in _run("rag_embedder.models.prepare_model", models).stderr


def test_the_init_step_prepares_a_damaged_model_anew(models: Path) -> None:
    name = _damage(models)
    assert checksums.damaged(_model(models)) == [name]
    done = _run("rag_embedder.models.prepare_model", models)
    assert done.returncode == 0
    assert f"{name} in {_model(models)} is damaged" in done.stderr
    assert checksums.damaged(_model(models)) == []


def test_the_embedder_refuses_a_damaged_model_in_one_sentence(models: Path) -> None:
    name = _damage(models)
    done = _run("rag_embedder", models)
    assert done.returncode != 0
    assert f"is damaged ({name}): run python -m rag_embedder.models.prepare_model" in done.stderr


def test_a_missing_file_and_unreadable_hashes_are_damage(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("1")
    assert checksums.damaged(tmp_path) == []
    checksums.write(tmp_path)
    (tmp_path / "one").unlink()
    assert checksums.damaged(tmp_path) == ["one"]
    (tmp_path / "checksums.json").write_text("[")
    assert checksums.damaged(tmp_path) == ["checksums.json"]
