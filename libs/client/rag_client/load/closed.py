"""A closed loop: so many callers, each with its next call as soon as the last has ended."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import grpc

from rag_client import calls

_LONGEST_REST = 1.0
_REST = 0.05


@dataclass(frozen=True, slots=True)
class Loop:
    """What came of it: the seconds of each good call, the failed ones by reason, the whole time."""

    latencies: Sequence[float]
    errors: Mapping[str, int]
    elapsed: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles in milliseconds (nearest rank); not a number where nothing was measured."""

    p50: float
    p95: float
    p99: float


async def closed_loop(
    call: Callable[[], Awaitable[None]], concurrency: int, seconds: float
) -> Loop:
    """Runs for `seconds`; calls begun by then are waited for and counted.

    A caller that is refused rests as long as it is told, so that refusals do not become the load.
    """
    latencies: list[float] = []
    errors: Counter[str] = Counter()
    begin = time.perf_counter()

    async def caller() -> None:
        while time.perf_counter() - begin < seconds:
            started = time.perf_counter()
            try:
                await call()
                latencies.append(time.perf_counter() - started)
            except grpc.RpcError as error:
                failure = calls.failure(error)
                errors[failure.reason] += 1
                await asyncio.sleep(min(failure.retry_after or _REST, _LONGEST_REST))

    await asyncio.gather(*(caller() for _ in range(concurrency)))
    return Loop(latencies, dict(errors), time.perf_counter() - begin)


def latency(seconds: Sequence[float]) -> Latency:
    """The percentiles of some times."""
    ordered = sorted(seconds)
    return Latency(*(_percentile(ordered, share) * 1000 for share in (0.50, 0.95, 0.99)))


def _percentile(ordered: Sequence[float], share: float) -> float:
    if not ordered:
        return math.nan
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]
