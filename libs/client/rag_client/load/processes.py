"""What processes on this machine spend, from /proc."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds since the process began, all threads, and its resident memory in MiB."""

    cpu_seconds: float
    memory_mib: float


def spent(pid: int) -> Spent:
    """What a process has spent so far; raises ProcessLookupError where there is none."""
    folder = Path("/proc") / str(pid)
    try:
        # The name in brackets may hold spaces, what follows may not: fields 14, 15 of proc(5).
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        pages = int((folder / "statm").read_text().split()[1])
    except FileNotFoundError as error:
        raise ProcessLookupError(f"there is no process {pid}") from error
    ticks = int(fields[11]) + int(fields[12])
    return Spent(ticks / _TICKS, pages * _PAGE / 2**20)


class Watch:
    """The CPU seconds of named processes since the watch began."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._begin = {name: spent(pid).cpu_seconds for name, pid in pids.items()}

    def read(self) -> dict[str, Spent]:
        """Seconds since the beginning, memory as of now."""
        now = {name: spent(pid) for name, pid in self._pids.items()}
        return {
            name: Spent(value.cpu_seconds - self._begin[name], value.memory_mib)
            for name, value in now.items()
        }
