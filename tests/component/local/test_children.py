"""Whatever way a tool ends, nothing that it has started runs on."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_local import child as local_children
from rag_local import reaper
from rag_local.child import end, ended_children, release, run, spawn, start_mark
from tests.support.processes import alive, arguments, children, marked
from tests.support.waiting import until

REAPER = Path(reaper.__file__)
TOOL = [sys.executable, "-m", "tests.support.local.tool"]


def begin(how: str) -> "tuple[subprocess.Popen[str], list[int]]":
    """A tool that has started its programs, and their ids."""
    tool = subprocess.Popen(
        [*TOOL, how], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert tool.stdout
    return tool, [int(pid) for pid in tool.stdout.readline().split()]


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL]
)
async def test_a_signal_to_the_tool_ends_all_that_it_started(number: signal.Signals) -> None:
    tool, pids = begin("runs")
    assert len(pids) == 5
    await until(lambda: len(children(tool.pid)) >= 6, "the program that is waited for")
    pids += children(tool.pid)
    assert alive(pids) == pids
    tool.send_signal(number)
    handled = number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    assert tool.wait(20) == (128 + number if handled else -number)
    await until(lambda: not alive(pids), "nothing of it runs", seconds=30)


@pytest.mark.parametrize("how", ["raises", "returns"])
async def test_a_tool_that_ends_by_itself_leaves_nothing_running(how: str) -> None:
    tool, pids = begin(how)
    assert len(pids) == 5
    assert tool.wait(20) == (1 if how == "raises" else 0)
    await until(lambda: not alive(pids), "nothing of it runs", seconds=30)


@pytest.mark.parametrize("milliseconds", [0, 30, 90])
async def test_a_tool_killed_at_any_moment_of_its_start_leaves_nothing_running(
    milliseconds: int,
) -> None:
    mark = f"orphan-{os.getpid()}-{milliseconds}"
    tool = starting(mark)
    with pytest.raises(subprocess.TimeoutExpired):
        tool.wait(milliseconds / 1000)
    tool.kill()
    tool.wait()
    await until(lambda: not marked(mark), "nothing of it runs", seconds=30)


def starting(mark: str) -> "subprocess.Popen[bytes]":
    """A tool that begins to start programs with this mark."""
    script = (
        "import sys, time; from rag_local.child import spawn\n"
        "print('begun', flush=True)\n"
        f"for _ in range(6): spawn([sys.executable, '-c', 'import time; time.sleep(600)', {mark!r}])\n"
        "time.sleep(600)"
    )
    tool = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert tool.stdout
    assert tool.stdout.readline()
    return tool


async def test_a_program_that_has_left_its_children_behind_takes_them_along() -> None:
    script = (
        "import subprocess, sys\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " stdout=subprocess.DEVNULL).pid)"
    )
    process = spawn([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout
    left = int(process.stdout.readline())
    process.wait(20)
    assert alive([left]) == [left]
    end(process, 1)
    await until(lambda: not alive([left]), "its child has ended", seconds=10)


async def test_a_reaper_that_was_killed_is_replaced_and_knows_what_runs() -> None:
    script = (
        "import os, signal, sys, time; from pathlib import Path; from rag_local.child import spawn\n"
        "sleep = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "first = spawn(sleep)\n"
        "print(first.pid, flush=True); sys.stdin.readline()\n"
        "print(spawn(sleep).pid, flush=True); time.sleep(600)"
    )
    tool = subprocess.Popen(  # noqa: ASYNC220 - it begins at once
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert tool.stdin
    assert tool.stdout
    pids = [int(tool.stdout.readline())]
    [killed] = [pid for pid in children(tool.pid) if str(REAPER) in arguments(pid)]
    os.kill(killed, signal.SIGKILL)
    await until(lambda: not alive([killed]), "the reaper is gone")
    tool.stdin.write("\n")
    tool.stdin.flush()
    pids.append(int(tool.stdout.readline()))
    tool.kill()
    tool.wait(20)
    await until(lambda: not alive(pids), "nothing of it runs", seconds=30)


def test_a_program_gets_its_arguments_environment_and_folder_as_given(tmp_path: Path) -> None:
    shown = run(
        [sys.executable, "-c", "import os, sys; print(sys.argv[1:], os.environ['A'], os.getcwd())", "", "é b"],
        env={**os.environ, "A": "한 글"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert shown.returncode == 0
    assert shown.stdout == f"['', 'é b'] 한 글 {tmp_path}\n"


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        spawn(["no-such-program"])


def test_the_reaper_kills_what_ignores_sigterm_and_no_later_process_of_the_same_id() -> None:
    process = spawn(["sh", "-c", "trap '' TERM; echo; sleep 600"], stdout=subprocess.PIPE)
    try:
        assert process.stdout
        process.stdout.readline()
        reaper.end_all({process.pid: "1"}, 0.0)
        assert process.poll() is None
        reaper.end_all({process.pid: reaper.start_time(process.pid)}, 0.1)
        assert process.wait(20) == -signal.SIGKILL
    finally:
        end(process, 1)


@pytest.fixture
def stranger() -> "Iterator[subprocess.Popen[bytes]]":
    """A process group that is none of the tool's."""
    with subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
    ) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("released", [True, False])
def test_the_process_that_has_the_id_now_is_left_alone(
    stranger: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch, released: bool
) -> None:
    process = spawn(["true"])
    process.wait(20)
    if released:
        release(process)
    else:
        child = local_children._running.pop(process.pid)
        monkeypatch.setitem(local_children._running, stranger.pid, child)
    process.pid = stranger.pid
    release(process)
    end(process, 0)
    with pytest.raises(subprocess.TimeoutExpired):
        stranger.wait(0.2)


def test_a_released_process_is_not_forgotten_for_its_successor() -> None:
    first, second = spawn(["true"]), spawn(["sleep", "600"])
    since = start_mark()
    try:
        first.wait(20)
        release(first)
        first.pid = second.pid
        release(first)
        assert second.poll() is None
    finally:
        assert end(second, 5) == -signal.SIGTERM
    assert ended_children(since) == []


@pytest.mark.parametrize("own_session", [True, False])
def test_a_program_begins_with_no_signal_ignored(own_session: bool) -> None:
    shown = run(
        ["cat", "/proc/self/status"], stdout=subprocess.PIPE, text=True, own_session=own_session
    ).stdout
    fields = dict(line.split(":", 1) for line in shown.splitlines())
    ignored = int(fields["SigIgn"], 16)
    # The C library keeps two signals to itself, which no program can set.
    assert [number for number in signal.valid_signals() if ignored >> (number - 1) & 1] == []


def test_a_writer_whose_reader_has_gone_ends_by_sigpipe() -> None:
    shown = run(
        ["bash", "-c", "yes | head -1; echo ${PIPESTATUS[0]}"], stdout=subprocess.PIPE, text=True
    )
    assert shown.stdout == f"y\n{128 + signal.SIGPIPE}\n"
