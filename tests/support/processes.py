"""What the kernel says of processes."""

from collections.abc import Sequence
from pathlib import Path


def alive(pids: Sequence[int]) -> list[int]:
    """Those of the processes that run; one that nobody has waited for does not."""
    return [pid for pid in pids if _status(pid)[0] not in ("", "Z")]


def children(pid: int) -> list[int]:
    """What the process has started and not waited for, from whichever of its threads."""
    return [one for one in _every() if _status(one)[1] == str(pid)]


def marked(mark: str) -> list[int]:
    """Processes that run and have this text among their arguments."""
    return [pid for pid in alive(_every()) if mark in arguments(pid)]


def arguments(pid: int) -> list[str]:
    """The process's arguments, its program first; none where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []


def _every() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _status(pid: int) -> tuple[str, str]:
    """The letter that says what the process does, and its parent's id; empty where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return "", ""
    # The name of the program, in parentheses, may hold anything.
    state, parent, *_ = stat.rpartition(")")[2].split()
    return state, parent
