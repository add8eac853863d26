"""Memory of processes over a run: sampled in a thread, and whether it grows."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import linear_regression

from tools.bench.turns import Pids, memory_mib

# Seconds since the beginning of the run, and MiB.
Sample = tuple[float, float]
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Trend:
    """Resident memory of one process in MiB: at the beginning, at the end, at most, and its slope.

    `slope` is in MiB an hour over the second half of the run, by least squares: by then caches are full
    and connections open.
    """

    first: float
    last: float
    max: float
    slope: float

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> "Trend":
        """Raises ValueError for fewer than two samples."""
        if len(samples) < 2:  # a line needs two points
            raise ValueError("a trend needs at least two samples of memory")
        values = [mib for _, mib in samples]
        return cls(values[0], values[-1], max(values), slope(samples))


@dataclass(frozen=True, slots=True)
class MemorySamples:
    """Samples by process, in their order."""

    by_process: Mapping[str, list[Sample]] = field(default_factory=dict)

    def trends(self) -> dict[str, Trend]:
        """The trend of each process. Raises ValueError if there are too few samples."""
        return {name: Trend.of(samples) for name, samples in self.by_process.items()}


def slope(samples: Sequence[Sample]) -> float:
    """MiB an hour over the second half of the samples' time, of at least two samples."""
    middle = (samples[0][0] + samples[-1][0]) / 2
    half = [sample for sample in samples if sample[0] >= middle]
    kept = half if len(half) > 1 else samples
    return linear_regression(*zip(*kept, strict=True)).slope * _HOUR


@contextmanager
def sampled(
    pids: Pids, interval: float, report: Callable[[float, Mapping[str, float]], None]
) -> Iterator[MemorySamples]:
    """Sample the processes every `interval` seconds while the block runs, first at its beginning.

    `report` gets the seconds since then and the MiB by process, after each sample. Sampling ends early
    if a process ends.
    """
    found = MemorySamples({name: [] for name in pids})
    stop = threading.Event()
    thread = threading.Thread(
        target=_sample, args=(pids, interval, found, stop, report), daemon=True
    )
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


def _sample(
    pids: Pids,
    interval: float,
    found: MemorySamples,
    stop: threading.Event,
    report: Callable[[float, Mapping[str, float]], None],
) -> None:
    began = time.monotonic()
    while True:
        seconds = time.monotonic() - began
        try:
            memory = memory_mib(pids)
        except ProcessLookupError:
            return
        # A process that has ended, and has not been waited for yet, has no memory.
        if not all(memory.values()):
            return
        for name, mib in memory.items():
            found.by_process[name].append((seconds, mib))
        report(seconds, memory)
        if stop.wait(interval):
            return
