"""What `make run` does before it starts anything."""

from pathlib import Path
from typing import Any

import pytest

from rag_local import platform
from rag_local.program import StartFailed
from tests.support.parts import prepared_models


def refuse(*_: Any, **__: Any) -> None:
    raise AssertionError("a process is started")


def test_a_prepared_model_is_not_prepared_by_another_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EMBEDDER_MODELS_DIR", str(prepared_models()))
    monkeypatch.setattr(platform, "run", refuse)
    platform.prepare_model()


def test_a_model_that_is_not_prepared_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EMBEDDER_MODELS_DIR", str(tmp_path))
    monkeypatch.setattr(platform, "run", refuse)
    with pytest.raises(AssertionError):
        platform.prepare_model()


def test_an_invalid_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBEDDER_PRECISION", "int4")
    with pytest.raises(StartFailed, match="EMBEDDER_PRECISION"):
        platform.prepare_model()
