"""A service that dies is restarted after a pause that grows, and each step is said in a line."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rag_local.child import end, spawn, start_mark
from rag_local.program import last_log_line
from rag_local.supervisor import Backoff, Supervised, Supervisor, ending
from tests.support.processes import alive
from tests.support.waiting import until

BACKOFF = Backoff(first=1.0, max_seconds=8.0, reset_after=60.0)
DEAD, ALIVE = "exit 3", "exec sleep 600"


@dataclass
class Scripted:
    """A service whose processes are real, and do what `scripts` say, one after the other."""

    log: Path
    scripts: list[str]
    name: str = "embedder"
    is_healthy: bool = True
    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        return self.started[-1]

    def restart(self) -> None:
        if not self.scripts:
            raise OSError("no memory")
        script = self.scripts.pop(0)
        self.started.append(spawn(["sh", "-c", script]))
        if script == DEAD:
            self.process.wait(20)

    def healthy(self) -> bool:
        return self.is_healthy

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(20)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "logs" / "embedder.log"
    path.parent.mkdir()
    path.write_text('{"event": "first"}\n{"event": "out of memory"}\n')
    return path


Start = Callable[..., Scripted]


@pytest.fixture
def start(log: Path) -> Iterator[Start]:
    """Starts a service with these scripts; its last process is ended after the test."""
    services: list[Scripted] = []

    def start(*scripts: str, kind: type[Scripted] = Scripted, **options: Any) -> Scripted:
        service = kind(log, list(scripts), **options)
        services.append(service)
        service.restart()
        return service

    yield start
    for service in services:
        end(service.process, 0)


def pauses(messages: list[str]) -> list[str]:
    """The seconds of each pause that was printed."""
    return [line.partition("restarting it in ")[2].partition(" s")[0] for line in messages]


def test_a_killed_service_is_restarted_and_said_to_be_healthy_again(
    start: Start, log: Path
) -> None:
    service, output = start(ALIVE, ALIVE), list[str]()
    supervised = Supervised(service, output.append, BACKOFF)
    service.kill()
    supervised.step(100.0)
    assert output == [
        "the embedder ended (killed by SIGKILL); restarting it in 1 s. Last log line: "
        f'{{"event": "out of memory"}} (log: {log})'
    ]
    assert not supervised.up
    supervised.step(100.9)
    assert len(service.started) == 1
    supervised.step(101.0)
    assert len(service.started) == 2
    supervised.step(102.5)
    assert output[1:] == ["the embedder is healthy again, 2.5 s later"]
    assert supervised.up


def test_the_pause_doubles_while_it_keeps_dying_and_has_a_bound(start: Start) -> None:
    service, output = start(*[DEAD] * 7, is_healthy=False), list[str]()
    supervised = Supervised(service, output.append, BACKOFF)
    now = 100.0
    while len(service.started) < 7:
        supervised.step(now)
        now += 0.5
    supervised.step(now)
    assert pauses(output) == ["1", "2", "4", "8", "8", "8", "8"]
    assert all("(exit code 3)" in line for line in output)
    assert supervised.deaths == 7


@pytest.mark.parametrize(("healthy_for", "pause"), [(59.0, "2"), (60.0, "1"), (3600.0, "1")])
def test_the_pause_begins_anew_after_a_while_of_health(
    start: Start, healthy_for: float, pause: str
) -> None:
    service, output = start(ALIVE, ALIVE), list[str]()
    supervised = Supervised(service, output.append, BACKOFF)
    service.kill()
    for now in (100.0, 101.0, 102.0):
        supervised.step(now)
    service.kill()
    supervised.step(102.0 + healthy_for)
    assert pauses(output) == ["1", "", pause]


def test_a_service_that_cannot_be_started_is_tried_again(start: Start) -> None:
    service, output = start(DEAD), list[str]()
    supervised = Supervised(service, output.append, BACKOFF)
    for now in (100.0, 101.0):
        supervised.step(now)
    assert output[-1] == "the embedder cannot be started: no memory; next attempt in 2 s"
    service.scripts.append(ALIVE)
    supervised.step(102.9)
    assert len(service.started) == 1
    for now in (103.0, 104.0):
        supervised.step(now)
    assert supervised.up


def test_of_another_program_that_dies_it_is_said_once_and_of_one_that_is_ended_not(
    start: Start,
) -> None:
    service, output = start(ALIVE), list[str]()
    before = spawn(["true"])
    before.wait(20)
    since = start_mark()
    other, ended = spawn(["sleep", "600"]), spawn(["sleep", "600"])
    try:
        supervisor = Supervisor([service], output.append, BACKOFF, since)
        end(ended, 5)
        other.kill()
        other.wait(20)
        # The service's own death is printed with its restart.
        service.kill()
        supervisor.report_others()
        supervisor.report_others()
        [line] = output
        assert line.startswith("sleep ended (killed by SIGKILL) and is not restarted")
    finally:
        end(before, 0)
        end(other, 0)


async def test_what_another_program_leaves_behind_is_killed_when_its_death_is_seen() -> None:
    output: list[str] = []
    supervisor = Supervisor([], output.append, BACKOFF)
    script = "sleep 600 >/dev/null & echo $!; exit 3"
    other = spawn(["sh", "-c", script], stdout=subprocess.PIPE)
    assert other.stdout
    left = int(other.stdout.readline())
    other.wait(20)
    supervisor.report_others()
    assert len(output) == 1
    await until(lambda: not alive([left]), "what it left behind has ended", seconds=10)


@pytest.mark.parametrize(
    ("error", "remove"), [(BrokenPipeError(32, "Broken pipe"), True), (ValueError("closed"), False)]
)
async def test_supervision_goes_on_without_a_log_and_without_an_output(
    start: Start, log: Path, error: Exception, remove: bool
) -> None:
    def fails(_text: str) -> None:
        raise error

    service = start(*[ALIVE] * 3)
    if remove:
        shutil.rmtree(log.parent)
    supervisor = Supervisor([service], fails, Backoff(first=0.01))
    supervisor.start()
    try:
        for restarts in (1, 2):
            service.process.kill()
            await until(lambda: len(service.started) == 1 + restarts, "it is restarted")  # noqa: B023
            assert supervisor.wait_all_up(10)
        assert supervisor.deaths == 2
    finally:
        supervisor.stop()


@dataclass
class Unreadable(Scripted):
    """A service whose health cannot be asked for."""

    def healthy(self) -> bool:
        raise RuntimeError("no answer that anybody expects")


async def test_an_error_of_one_service_is_said_once_and_the_others_are_supervised(
    start: Start,
) -> None:
    output: list[str] = []
    broken = start(ALIVE, ALIVE, kind=Unreadable, name="edge")
    sound = start(ALIVE, ALIVE)
    supervisor = Supervisor([broken, sound], output.append, Backoff(first=0.01))
    supervisor.start()
    try:
        broken.process.kill()
        await until(lambda: any("edge failed" in line for line in output), "the error is said")
        sound.process.kill()
        await until(lambda: len(sound.started) == 2, "the other is restarted")
        await until(lambda: "healthy again" in output[-1], "and healthy")
        assert len([line for line in output if "edge failed" in line]) == 1
    finally:
        supervisor.stop()


@pytest.mark.parametrize(
    ("written", "last"),
    [
        (b"", "no output"),
        (b"\n \n", "no output"),
        (b"first\nlast\n\n", "last"),
        ("가".encode() * 40_000 + b"\nlast", "last"),
        (b"\xff broken\n", "\ufffd broken"),
        (b"x" * 1_000_000 + b"end", "x" * (16 * 1024 - 3) + "end"),
    ],
)
def test_the_last_line_of_a_log(tmp_path: Path, written: bytes, last: str) -> None:
    log = tmp_path / "service.log"
    log.write_bytes(written)
    assert last_log_line(log) == f"{last} (log: {log})"


def test_of_a_log_that_cannot_be_read_the_reason_is_given(tmp_path: Path) -> None:
    missing = tmp_path / "gone" / "service.log"
    assert last_log_line(missing) == f"no log ({missing}: No such file or directory)"
    assert last_log_line(tmp_path) == f"no log ({tmp_path}: Is a directory)"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "exit code 0"),
        (2, "exit code 2"),
        (-11, "killed by SIGSEGV"),
        (-99, "killed by signal 99"),
    ],
)
def test_how_a_process_ended_is_said_in_words(code: int, text: str) -> None:
    assert ending(code) == text
