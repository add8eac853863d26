"""Child processes that never outlive the process that started them, however it ends."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

_LAUNCHER = Path(__file__).with_name("launcher.py")
_REAPER = Path(__file__).with_name("reaper.py")
# Isolated mode: ignores the environment and site-packages, so it starts fast and always the same way.
_ISOLATED_PYTHON = (sys.executable, "-I", "-S")

Command = Sequence["str | os.PathLike[str]"]
Output = IO[bytes] | IO[str] | int | None


@dataclass(frozen=True, slots=True)
class Child:
    """A program that `spawn` has started; `number` is its position in the order of starts.

    `leads_group` is whether it has its own session, and so its own process group.
    """

    number: int
    name: str
    process: "subprocess.Popen[Any]"
    leads_group: bool


class _Reaper:
    """The process of reaper.py, started with the first child; at most one per process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = -1

    def pipe(self) -> int:
        """Start the reaper if it does not run, and return the writing end of its pipe."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
            return self._pipe

    def ended(self, pid: int) -> None:
        """Tell the reaper that the process has been waited for."""
        with self._lock, suppress(OSError):
            os.write(self._pipe, b"end %d\n" % pid)

    def _start(self) -> None:
        if self._process:
            os.close(self._pipe)
        read, self._pipe = os.pipe()
        self._process = subprocess.Popen(
            [*_ISOLATED_PYTHON, _REAPER],
            stdin=read,
            # It may outlive this process; an inherited output would keep its reader waiting.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(read)
        # A new reaper must learn about the running processes that a killed one knew.
        for pid in list(_running):
            os.write(self._pipe, b"start %d\n" % pid)


_reaper = _Reaper()
# The programs that have not been released yet, by process id.
_running: dict[int, Child] = {}
_numbers = itertools.count(1)


def spawn(
    command: Command,
    *,
    env: Mapping[str, str] | None = None,
    stdin: Output = subprocess.DEVNULL,
    stdout: Output = None,
    stderr: Output = None,
    text: bool = False,
    cwd: Path | None = None,
    own_session: bool = True,
) -> "subprocess.Popen[Any]":
    """Start a program that ends, with all its descendants, when this process does, even by `kill -9`.

    With its own session it gets no Ctrl-C from the terminal: the caller must end it by `end`.
    Raises FileNotFoundError if the program does not exist.
    """
    name = os.fspath(command[0])
    path = shutil.which(name)
    if not path:
        raise FileNotFoundError(f"program {name} not found")
    pipe = _reaper.pipe()
    process = subprocess.Popen(
        [*_ISOLATED_PYTHON, _LAUNCHER, str(pipe), os.path.abspath(path), *command[1:]],
        env=env,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        text=text,
        cwd=cwd,
        pass_fds=(pipe,),
        start_new_session=own_session,
    )
    _running[process.pid] = Child(next(_numbers), Path(path).name, process, own_session)
    return process


def start_mark() -> int:
    """A position in the order of starts, after all programs started so far."""
    return next(_numbers)


def ended_children(since: int) -> list[Child]:
    """Programs spawned after the mark `since` that have ended and have not been released.

    Excludes those that `run` waits for, which have no session of their own.
    """
    return [
        child
        for child in list(_running.values())
        if child.number > since and child.leads_group and child.process.poll() is not None
    ]


def run(
    command: Command, *, check: bool = False, **options: Any
) -> "subprocess.CompletedProcess[Any]":
    """Run a program to its end, in this session, as `subprocess.run` does; options as of `spawn`.

    Raises subprocess.CalledProcessError if `check` is True and the program fails.
    """
    process = spawn(command, **{"own_session": False, "stdin": None, **options})
    try:
        out, err = process.communicate()
    except BaseException:
        end(process, 0)
        raise
    finally:
        release(process)
    if check and process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command), out, err)
    return subprocess.CompletedProcess(list(command), process.returncode, out, err)


def end(process: "subprocess.Popen[Any]", seconds: float) -> int:
    """Terminate the process, kill it if it still runs after `seconds`, and return its exit code.

    Descendants that it has left behind are killed.
    """
    process.terminate()
    # A stopped process would not handle SIGTERM.
    process.send_signal(signal.SIGCONT)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    release(process)
    return cast(int, process.returncode)


def kill(process: "subprocess.Popen[Any]") -> None:
    """Kill the process and its descendants at once, as a crash does."""
    process.kill()
    process.wait()
    release(process)


def release(process: "subprocess.Popen[Any]") -> None:
    """Forget a process that has ended, and kill the rest of its process group.

    Only the first call has an effect: the kernel may reuse the id of a process that has been waited
    for. For the same reason call this as soon as the process has ended.
    """
    child = _running.get(process.pid)
    if child is None or child.process is not process or process.poll() is None:
        return
    del _running[process.pid]
    if child.leads_group and not _exists(process.pid):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    _reaper.ended(process.pid)


def _exists(pid: int) -> bool:
    """Whether a process has this id; after waiting for the former one it would be an unrelated one."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
