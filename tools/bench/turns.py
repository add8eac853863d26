"""Searches and what they cost, on several platforms in alternating turns, so that noise touches all alike."""

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import TypeVar

from tools.bench.load import Way, fill, load, progress
from tools.bench.result import Percentiles

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")

Pids = Mapping[str, int]


def cpu_seconds(pids: Pids) -> dict[str, float]:
    """CPU seconds that each process has used since it started. Raises ProcessLookupError."""
    return {name: _cpu_seconds(pid) for name, pid in pids.items()}


def used_since(before: Mapping[str, float], pids: Pids) -> dict[str, float]:
    """CPU seconds that each process has used since `before` was read."""
    return {name: seconds - before[name] for name, seconds in cpu_seconds(pids).items()}


def memory_mib(pids: Pids) -> dict[str, float]:
    """Resident memory of each process in MiB. Raises ProcessLookupError."""
    return {name: int(_read(pid, "statm").split()[1]) * _PAGE / 2**20 for name, pid in pids.items()}


def idle_percent(pids: Pids, seconds: float) -> dict[str, float]:
    """CPU of each process over the next seconds, in percent of a core."""
    before = cpu_seconds(pids)
    time.sleep(seconds)
    return {name: used / seconds * 100 for name, used in used_since(before, pids).items()}


def _cpu_seconds(pid: int) -> float:
    # The name in brackets may hold spaces, what follows may not: fields 14 and 15 of proc(5).
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _read(pid: int, name: str) -> str:
    try:
        return (Path("/proc") / str(pid) / name).read_text()
    except FileNotFoundError as error:
        raise ProcessLookupError(f"there is no process {pid}") from error


AT_ONCE = 8
ROUNDS = 4
PASSAGES = 64

T = TypeVar("T")
W = TypeVar("W")


@dataclass(frozen=True, slots=True)
class Searches:
    """Successful searches a second, their latency, refused ones, and CPU milliseconds each by process."""

    rate: float
    latency: Percentiles
    errors: int
    parts: Mapping[str, float]

    @property
    def cpu(self) -> float:
        """CPU milliseconds a search, of all processes."""
        return sum(self.parts.values())


@dataclass(frozen=True, slots=True)
class Extra:
    """A difference or a ratio by rounds: its mean, and the standard error of the mean."""

    mean: float
    error: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Extra":
        """NaN as the error of a single value."""
        error = stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
        return cls(mean(values), error)


@dataclass(frozen=True, slots=True)
class Cost:
    """Rounds of one way with AT_ONCE callers, and one with a single caller."""

    way: str
    loaded: Sequence[Searches]
    alone: Searches

    @property
    def parts(self) -> dict[str, float]:
        """CPU milliseconds a search by process."""
        return {name: mean(one.parts[name] for one in self.loaded) for name in self.loaded[0].parts}

    def over(self, other: "Cost") -> Extra:
        """CPU milliseconds a search that this way costs more than the other."""
        pairs = zip(self.loaded, other.loaded, strict=True)
        return Extra.of([own.cpu - others.cpu for own, others in pairs])

    def slower(self, other: "Cost") -> Extra:
        """Percent of the other's searches a second that this way lacks."""
        pairs = zip(self.loaded, other.loaded, strict=True)
        return Extra.of([100 * (1 - own.rate / others.rate) for own, others in pairs])


def in_turns(ways: Sequence[W], measure: Callable[[W], T], rounds: int) -> list[list[T]]:
    """The measurements of each one, round by round; every round begins with another one."""
    result: list[list[T]] = [[] for _ in ways]
    for number in range(rounds):
        first = number % len(ways)
        for place in (*range(first, len(ways)), *range(first)):
            result[place].append(measure(ways[place]))
    return result


def searches(way: Way, callers: int, seconds: float) -> Searches:
    """One closed loop of searches."""
    before = cpu_seconds(way.pids)
    result = load("search", way, callers, seconds)
    used = used_since(before, way.pids)
    calls = max(result.latency.count, 1)
    found = Searches(
        result.rate,
        result.latency,
        result.errors,
        {name: value * 1000 / calls for name, value in used.items()},
    )
    progress(f"  {found.rate:.1f}/s, {found.cpu:.1f} ms of CPU each")
    return found


def costs(ways: Sequence[Way], seconds: float) -> list[Cost]:
    """CPU and latency of searches by each way, in their order; each platform is filled first."""
    for way in {way.pids["gateway"]: way for way in ways}.values():
        fill(way, PASSAGES)
    for way in ways:
        load("search", way, AT_ONCE, seconds / 2)
    loaded = in_turns(ways, lambda way: searches(way, AT_ONCE, seconds), ROUNDS)
    alone = in_turns(ways, lambda way: searches(way, 1, seconds), 1)
    return [
        Cost(way.name, rounds, single)
        for way, rounds, [single] in zip(ways, loaded, alone, strict=True)
    ]
