"""`make run`: the platform with its samples and three questions, from nothing, and a second time."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_local.processes import SERVICES, StartFailed, require_free
from tests.e2e.conftest import ROOT, SAMPLES

QUESTIONS = json.loads((SAMPLES / "questions.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of its own for data and keys; the ports, which are fixed, must be free."""
    try:
        require_free()
    except StartFailed as error:
        pytest.fail(f"`make run` has fixed ports, and {error}", pytrace=False)
    return tmp_path_factory.mktemp("run")


def begin(home: Path, models: Path, **settings: str) -> "subprocess.Popen[str]":
    environment = {
        **os.environ,
        "RAG_HOME": str(home),
        "EMBEDDER_MODELS_DIR": str(models),
        "PYTHONUNBUFFERED": "1",
        **settings,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "rag_local"],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def output(home: Path, models: Path, **settings: str) -> tuple[int, str]:
    process = begin(home, models, **settings)
    said, _ = process.communicate(timeout=300)
    return process.returncode, said


@pytest.fixture(scope="module")
def first(home: Path, models: Path) -> tuple[int, str]:
    return output(home, models, ONCE="1")


def documents_stored(home: Path) -> list[dict[str, str]]:
    """Calls that stored a document, as the retriever's log of the last run has them."""
    lines = (home / "logs" / "retriever.log").read_text("utf-8").splitlines()
    return [
        line for line in map(json.loads, lines) if line.get("method", "").endswith("/UpsertChunks")
    ]


def test_the_first_run_answers_two_questions_declines_one_and_ends_well(
    first: tuple[int, str],
) -> None:
    code, said = first
    assert code == 0, said
    korean = next(one for one in QUESTIONS["answerable"] if one["lang"] == "ko")
    english = next(one for one in QUESTIONS["answerable"] if one["lang"] == "en")
    flat = " ".join(said.split())
    for asked in (korean, english):
        assert asked["question"] in flat
        assert asked["answer"] in flat
        assert Path(asked["document"]).name in said
    assert QUESTIONS["unanswerable"][0]["question"] in flat
    assert len(re.findall(r"\[1\]", said)) >= 2
    assert len(set(re.findall(r"\b[0-9a-f]{32}\b", said))) >= 3


def test_nothing_of_it_runs_on(first: tuple[int, str]) -> None:
    assert first[0] == 0
    require_free()


def test_a_second_run_takes_in_nothing_twice(
    first: tuple[int, str], home: Path, models: Path
) -> None:
    assert first[0] == 0
    assert documents_stored(home)
    code, said = output(home, models, ONCE="1")
    assert code == 0, said
    assert documents_stored(home) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_stop_and_leaves_nothing_running(
    first: tuple[int, str], home: Path, models: Path, number: signal.Signals
) -> None:
    assert first[0] == 0
    process = begin(home, models)
    said = until_line(process, "Serving until Ctrl-C")
    process.send_signal(number)
    rest, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said + rest
    require_free()


def test_told_to_stop_while_it_starts_it_leaves_nothing_running(
    first: tuple[int, str], home: Path, models: Path
) -> None:
    assert first[0] == 0
    process = begin(home, models)
    until_line(process, "starting embedder")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    require_free()


def until_line(process: "subprocess.Popen[str]", text: str) -> str:
    """What is said up to and with the line that holds this."""
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            return said
    raise AssertionError(f"it ended without saying {text!r}: {said}")


@pytest.fixture(params=[SERVICES[0].port, SERVICES[-1].health_port])
def taken(request: pytest.FixtureRequest, home: Path) -> Iterator[int]:
    """A port that something else listens on."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", request.param))
        listener.listen()
        yield request.param


def test_a_taken_port_is_one_clear_sentence(taken: int, home: Path, models: Path) -> None:
    code, said = output(home, models, ONCE="1")
    assert code == 1
    [sentence] = [line for line in said.splitlines() if line.startswith("make run:")]
    assert f"port {taken}" in sentence
    assert "Traceback" not in said
