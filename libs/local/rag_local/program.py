"""Programs with a log: found, started, awaited until ready, and ended."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from rag_local.child import Command, Output, end, spawn

_READY_SECONDS = 30.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.05
# How many bytes at a log's end are searched for its last line.
_TAIL_BYTES = 16_384

_Ready = TypeVar("_Ready")


class StartFailed(Exception):
    """A program does not start; the message is one sentence that says why and what to do."""


def program(names: str | Sequence[str], install: str) -> str:
    """As find_program, but raises StartFailed, with the advice `install`, if there is none."""
    path = find_program(names)
    if path:
        return path
    listed = names if isinstance(names, str) else " or ".join(names)
    raise StartFailed(f"{listed} is not installed: {install}")


def find_program(names: str | Sequence[str]) -> str | None:
    """The path of a program, the first of `names` that is beside this interpreter or on the PATH."""
    for name in (names,) if isinstance(names, str) else names:
        beside = Path(sys.executable).with_name(name)
        path = str(beside) if beside.is_file() else shutil.which(name)
        if path:
            return path
    return None


def require_port(port: int, name: str) -> None:
    """Raise StartFailed if the port, which the named component needs, is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise StartFailed(
                f"port {port}, which the {name} needs, is in use: stop the process "
                f"(ss -ltnp 'sport = :{port}' shows it), or a former `make run`"
            ) from error


def free_port() -> int:
    """A port of this machine that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_logged(
    command: Command,
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    stdin: Output = subprocess.DEVNULL,
    cwd: Path | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a program as `spawn` does; its output is appended to the log."""
    with log.open("ab") as file:
        return spawn(command, env=env, stdin=stdin, stdout=file, stderr=subprocess.STDOUT, cwd=cwd)


def wait_ready(
    process: "subprocess.Popen[bytes]",
    name: str,
    log: Path,
    check: Callable[[], _Ready],
    seconds: float = _READY_SECONDS,
) -> _Ready:
    """The first true result of `check`. Raises StartFailed if the program ends, or after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        require_running(process, name, log)
        ready = check()
        if ready:
            return ready
        time.sleep(_POLL_SECONDS)
    raise StartFailed(f"{name} is not ready within {seconds:.0f} s: {last_log_line(log)}")


def require_running(process: "subprocess.Popen[bytes]", name: str, log: Path) -> None:
    """Raise StartFailed, with the last line of the log, if the program has ended."""
    if process.poll() is not None:
        raise StartFailed(f"{name} ended: {last_log_line(log)}")


@contextmanager
def run_until_ready(
    command: Sequence[str],
    ready: Callable[[], bool],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    grace: float = _STOP_SECONDS,
) -> Iterator[None]:
    """Run a program inside the block, which begins when `ready` returns True. Raises StartFailed.

    `environment` is its complete environment; None is this process's own. At the end it has `grace`
    seconds to stop, then it is killed. The log of a former run is replaced.
    """
    log.unlink(missing_ok=True)
    process = start_logged(command, log, env=environment)
    try:
        wait_ready(process, Path(command[0]).name, log, ready)
        yield
    finally:
        end(process, grace)


def responds(url: str) -> bool:
    """Whether the URL returns 200."""
    # Imported for the programs that have one: it takes 30 ms, and the services have none.
    import httpx

    try:
        return httpx.get(url, timeout=1.0, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def listens(port: int) -> bool:
    """Whether a program accepts connections at this port of 127.0.0.1."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1.0):
            return True
    except OSError:
        return False


def last_log_line(log: Path) -> str:
    """The last line of a log and the log's path; "no log" and the reason if it cannot be read.

    Of a last line over 16 KiB, only its end.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            tail = file.read(_TAIL_BYTES)
    except OSError as error:
        return f"no log ({log}: {error.strerror})"
    lines = tail.decode("utf-8", "replace").strip().splitlines()
    return f"{lines[-1]} (log: {log})" if lines else f"no output (log: {log})"
