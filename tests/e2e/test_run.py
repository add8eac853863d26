"""`make run`: the platform with its samples and three questions, from nothing, and a second time."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag_local.child import end, spawn
from rag_local.program import StartFailed
from rag_local.service_processes import SERVICES, healthy, require_free
from tests.e2e.conftest import ROOT, SAMPLES
from tests.support.processes import arguments, children
from tests.support.waiting import until

# The ports of `make run` are fixed: one worker has them.
pytestmark = pytest.mark.xdist_group("fixed ports")

QUESTIONS = json.loads((SAMPLES / "questions.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of its own for data and keys; the ports, which are fixed, must be free."""
    try:
        require_free()
    except StartFailed as error:
        pytest.fail(f"`make run` has fixed ports, and {error}", pytrace=False)
    return tmp_path_factory.mktemp("run")


@contextmanager
def begun(home: Path, models: Path, **settings: str) -> Iterator["subprocess.Popen[str]"]:
    """The platform, started; whatever a test has left of it is ended."""
    environment = {
        **os.environ,
        "RAG_HOME": str(home),
        "EMBEDDER_MODELS_DIR": str(models),
        "PYTHONUNBUFFERED": "1",
        **settings,
    }
    process = spawn(
        [sys.executable, "-m", "rag_local"],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        end(process, 60)


def output(home: Path, models: Path, **settings: str) -> tuple[int, str]:
    with begun(home, models, **settings) as process:
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
    for requested in (korean, english):
        assert requested["question"] in flat
        assert requested["answer"] in flat
        assert Path(requested["document"]).name in said
    assert QUESTIONS["unanswerable"][0]["question"] in flat
    assert len(re.findall(r"\[1\]", said)) >= 2
    assert len(set(re.findall(r"\b[0-9a-f]{32}\b", said))) >= 3
    require_free()


def test_a_second_run_takes_in_nothing_twice_and_serves_until_it_is_stopped(
    first: tuple[int, str], home: Path, models: Path
) -> None:
    assert first[0] == 0
    assert documents_stored(home)
    with begun(home, models) as process:
        until_line(process, "Serving until Ctrl-C")
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=120)
    assert process.returncode == 0, rest
    assert "Traceback" not in rest
    assert documents_stored(home) == []
    require_free()


@pytest.mark.parametrize(
    ("line", "number"),
    [("starting embedder", signal.SIGTERM), ("ingesting the sample documents", signal.SIGHUP)],
    ids=["starting", "ingesting"],
)
def test_stopped_before_it_serves_it_fails_and_leaves_nothing_running(
    home: Path, models: Path, line: str, number: signal.Signals
) -> None:
    with begun(home, models, ONCE="1") as process:
        output = until_line(process, line)
        process.send_signal(number)
        rest, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + number, output + rest
    assert f"stopped by {number.name}" in rest
    assert "Traceback" not in rest
    require_free()


async def test_a_service_that_dies_is_restarted_and_stopping_in_between_leaves_nothing_running(
    home: Path, models: Path
) -> None:
    with begun(home, models) as process:
        until_line(process, "Serving until Ctrl-C")
        for spec in SERVICES[1:3]:
            os.kill(service(process.pid, spec.name), signal.SIGKILL)
            output = until_line(
                process, f"the {spec.name} ended (killed by SIGKILL); restarting it in"
            )
            assert str(home / "logs" / f"{spec.name}.log") in output
            until_line(process, f"the {spec.name} is healthy again")
            await until(lambda: all(map(healthy, SERVICES)), "all of them are healthy")
        # It keeps dying: the pauses grow, and the others run on.
        os.kill(service(process.pid, "generator"), signal.SIGKILL)
        pause = until_line(process, "restarting it in").rpartition("restarting it in ")[2]
        assert int(pause.partition(" s")[0]) >= 2
        assert healthy(SERVICES[3])
        process.terminate()
        rest, _ = process.communicate(timeout=120)
        assert process.returncode == 0, rest
        assert "Traceback" not in rest
        assert nothing_runs()


async def test_killed_it_leaves_nothing_running(home: Path, models: Path) -> None:
    with begun(home, models) as process:
        until_line(process, "Serving until Ctrl-C")
        process.kill()
        process.communicate(timeout=120)
        await until(nothing_runs, "every port is free")


def nothing_runs() -> bool:
    """Whether every port of the services is free."""
    try:
        require_free()
    except StartFailed:
        return False
    return True


def service(tool: int, name: str) -> int:
    """The process of a service that the tool runs."""
    [result] = [pid for pid in children(tool) if f"rag_{name}" in arguments(pid)]
    return result


def until_line(process: "subprocess.Popen[str]", text: str) -> str:
    """What is said up to and with the line that holds this."""
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            return said
    raise AssertionError(f"it ended without saying {text!r}: {said}")


def test_a_taken_port_is_one_clear_sentence(home: Path, models: Path) -> None:
    port = SERVICES[-1].health_port
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        code, printed = output(home, models, ONCE="1")
    assert code == 1
    [sentence] = [line for line in printed.splitlines() if line.startswith("make run:")]
    assert f"port {port}" in sentence
    assert "Traceback" not in printed
