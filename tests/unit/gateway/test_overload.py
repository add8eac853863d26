"""Ten times the searches that can be answered, in virtual time: what is admitted stays fast, nobody starves."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from tools.bench.result import Percentiles

from rag_contract.errors import QueueFull
from rag_gateway.answering.fair_semaphore import FairSemaphore
from rag_gateway.answering.wait_limit import WaitLimit
from rag_gateway.settings import Settings
from tests.support.virtual_time import run

CORES, CPU_SECONDS = 2, 0.01
# Searches a second that the cores can compute.
CAPACITY = CORES / CPU_SECONDS
SLOTS = 3 * CORES
WARM_UP, SECONDS = 3.0, 15.0


@dataclass
class Outcomes:
    """After the warm-up: milliseconds of the searches that were answered, and how many were refused."""

    latency: dict[str, list[float]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)

    def answered(self, tenant: str) -> int:
        return len(self.latency.get(tenant, ()))

    def p95(self, tenant: str) -> float:
        return Percentiles.of(self.latency[tenant]).p95


class Platform:
    """Searches on two cores that they share in equal parts, each for about CPU_SECONDS."""

    def __init__(self, seed: int) -> None:
        settings = Settings()
        clock = asyncio.get_running_loop().time
        limit = WaitLimit(settings.search_wait, settings.search_wait_overloaded, clock)
        self.slots = FairSemaphore(SLOTS, limit, clock=clock)
        self.outcomes = Outcomes()
        self._random = random.Random(seed)
        self._clock = clock

    async def load(self, tenant: str, rate: float) -> None:
        """Searches of a tenant that come by chance, so many a second."""
        async with asyncio.TaskGroup() as group:
            while self._clock() < WARM_UP + SECONDS:
                await asyncio.sleep(self._random.expovariate(rate))
                group.create_task(self._search(tenant))

    async def _search(self, tenant: str) -> None:
        began = self._clock()
        try:
            async with self.slots.slot(tenant):
                await self._compute(CPU_SECONDS * self._random.uniform(0.5, 1.5))
        except QueueFull:
            self.outcomes.refused[tenant] += began >= WARM_UP
            return
        if began >= WARM_UP:
            milliseconds = (self._clock() - began) * 1000
            self.outcomes.latency.setdefault(tenant, []).append(milliseconds)

    async def _compute(self, seconds: float) -> None:
        step = CPU_SECONDS / 5
        for _ in range(round(seconds / step)):
            await asyncio.sleep(step * max(self.slots.running / CORES, 1))


def loaded(rates: Sequence[tuple[str, float]], seed: int = 1) -> Outcomes:
    async def main() -> Outcomes:
        platform = Platform(seed)
        await asyncio.gather(*(platform.load(tenant, rate) for tenant, rate in rates))
        return platform.outcomes

    return run(main())


@pytest.mark.parametrize("seed", [1, 2])
def test_of_many_times_the_capacity_the_admitted_take_at_most_twice_as_long(seed: int) -> None:
    normal = loaded([("acme", 0.3 * CAPACITY)], seed)
    overload = loaded([("acme", 3 * CAPACITY)], seed)
    assert normal.refused.total() == 0
    assert overload.p95("acme") <= 2 * normal.p95("acme")
    assert overload.answered("acme") >= 0.9 * CAPACITY * SECONDS


@pytest.mark.parametrize("share", [0.5, 0.7, 0.8])
def test_below_the_capacity_nothing_is_refused(share: float) -> None:
    found = loaded([("acme", share * CAPACITY)])
    assert found.refused.total() == 0


@pytest.mark.parametrize("share", [1.1, 1.5])
def test_a_little_over_the_capacity_the_excess_is_refused_and_no_more(share: float) -> None:
    found = loaded([("acme", share * CAPACITY)])
    assert found.answered("acme") >= 0.85 * CAPACITY * SECONDS
    assert found.p95("acme") < 600


def test_a_modest_tenant_is_answered_beside_a_greedy_one() -> None:
    found = loaded([("greedy", 3 * CAPACITY), ("modest", 0.05 * CAPACITY)])
    assert found.refused["modest"] <= 0.02 * found.answered("modest")


def test_many_tenants_share_what_there_is() -> None:
    found = loaded([(f"tenant-{n}", 0.3 * CAPACITY) for n in range(10)])
    answered = [found.answered(f"tenant-{n}") for n in range(10)]
    assert sum(answered) >= 0.9 * CAPACITY * SECONDS
    assert min(answered) >= 0.7 * max(answered)
