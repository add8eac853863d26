"""`make eval` ends with one sentence where one of its steps fails."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from tools.eval import quality


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The page that is written by an evaluation whose platform and sets are stand-ins."""

    @contextmanager
    def platform(_home: Path) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(access=None)

    def rag(*arguments: str, access: None) -> None:
        assert access is None
        Path(arguments[-1]).write_text("measured\n", "utf-8")

    monkeypatch.setattr(quality, "platform", platform)
    monkeypatch.setattr(quality, "rag", rag)
    path = tmp_path / "quality.md"
    monkeypatch.setattr(sys, "argv", ["evaluate.py", str(tmp_path), str(path)])
    monkeypatch.setitem(os.environ, "EMBEDDER_MODELS_DIR", str(tmp_path / "no-models"))
    return path


def test_a_calibration_that_fails_is_one_sentence(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quality, "run", lambda _command: SimpleNamespace(returncode=-9))
    assert quality.main() == 1
    output = capsys.readouterr().err
    assert output.startswith("make eval: tools.eval.calibration ended with code -9;")
    assert str(page) in output
    assert "Traceback" not in output
    assert page.read_text("utf-8").endswith("measured\n")
