"""Ends the processes that a tool has started after the tool itself has ended, in whatever way.

It runs as a separate process by its path with `python -I -S`. Its standard input is a pipe whose other
end the tool holds: when the tool ends, even by `kill -9`, the kernel closes it. Lines on it are
`start PID` and `end PID`. A process that leads its own group is ended together with the group, and so
with its children.

The alternative on Linux, PR_SET_PDEATHSIG, is tied to the thread that started the process, which a
pool of threads ends at any time; it does not reach grandchildren, and a program with file
capabilities loses it.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Iterator

# Seconds between SIGTERM and SIGKILL.
GRACE_SECONDS = 10.0
_POLL_SECONDS = 0.05
_LAST_LINES_SECONDS = 1.0


def main() -> None:
    """Read lines until the tool has ended, then end the processes that it has left running."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    # Start times by process id, to detect a later process with the same id.
    running: dict[int, str] = {}
    for line in lines(sys.stdin.fileno(), os.getppid()):
        event, _, pid = line.partition(b" ")
        if event == b"start":
            running[int(pid)] = start_time(int(pid))
        elif event == b"end":
            running.pop(int(pid), None)
    end_all(running, GRACE_SECONDS)


def lines(pipe: int, tool: int) -> Iterator[bytes]:
    """The lines of the pipe until it is closed, or until a second after the tool has ended.

    A process forked by the tool may hold the pipe open; a launcher may still write to it.
    """
    rest, gone = b"", 0.0
    while not gone or time.monotonic() < gone + _LAST_LINES_SECONDS:
        readable, _, _ = select.select([pipe], [], [], _POLL_SECONDS if gone else 1.0)
        if readable:
            read = os.read(pipe, 4096)
            if not read:
                return
            *complete, rest = (rest + read).split(b"\n")
            yield from complete
        if not gone and os.getppid() != tool:
            gone = time.monotonic()


def end_all(running: dict[int, str], grace: float) -> None:
    """Send SIGTERM to each process and its group, and SIGKILL to those left after `grace` seconds."""
    left = [pid for pid, started in running.items() if start_time(pid) in ("", started)]
    for pid in left:
        _signal(pid, signal.SIGTERM)
        # A stopped process handles no other signal.
        _signal(pid, signal.SIGCONT)
    end = time.monotonic() + grace
    while any(_signal(pid, 0) for pid in left) and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)
    for pid in left:
        _signal(pid, signal.SIGKILL)


def start_time(pid: int) -> str:
    """When the process was started, in kernel ticks; empty if it does not exist, or without /proc."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            # The name of the program, in parentheses, may contain any characters.
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _signal(pid: int, number: int) -> bool:
    """Send the signal to the process's group, or to the process; False if neither exists."""
    for send in (os.killpg, os.kill):
        try:
            send(pid, number)
        except (ProcessLookupError, PermissionError):
            continue
        return True
    return False


if __name__ == "__main__":
    main()
