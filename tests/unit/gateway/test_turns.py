"""The semaphore of searches is fair across tenants."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from rag_gateway.answering.fair_semaphore import FairSemaphore
from tests.support.clock import Clock


class Searches:
    """Searches that go on until they are told to end."""

    def __init__(self, max_running: int) -> None:
        self.clock = Clock(0.0)
        self.semaphore = FairSemaphore(max_running, self.clock)
        self.started: list[str] = []
        self._ends: list[tuple[str, asyncio.Event]] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def request(self, *tenants: str) -> "list[asyncio.Task[None]]":
        """Start a search of each tenant, or make it wait."""
        tasks = [asyncio.create_task(self._search(tenant)) for tenant in tenants]
        self._tasks += tasks
        await settled()
        return tasks

    async def _search(self, tenant: str) -> None:
        async with self.semaphore.slot(tenant):
            end = asyncio.Event()
            self.started.append(tenant)
            self._ends.append((tenant, end))
            await end.wait()

    async def end(self, *tenants: str) -> None:
        """End one search of each tenant, and let others start."""
        for tenant in tenants:
            self.let_end(tenant)
            await settled()

    def let_end(self, tenant: str) -> None:
        """End one of the tenant's at the loop's next step."""
        running = next(one for one in self._ends if one[0] == tenant)
        self._ends.remove(running)
        running[1].set()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def searches() -> AsyncIterator[Searches]:
    searches = Searches(6)
    yield searches
    await searches.close()


GREEDY = ["greedy"] * 9
OTHERS = [f"tenant-{number}" for number in range(9)]


@pytest.mark.parametrize(
    ("seconds", "tenants", "started"),
    [
        (None, GREEDY, GREEDY[:6]),
        (0.0, GREEDY, GREEDY[:2]),
        (0.0, [*GREEDY, "modest"], [*GREEDY[:2], "modest"]),
        (61.0, GREEDY, GREEDY[:6]),
        (None, OTHERS, OTHERS[:6]),
    ],
    ids=["alone", "in company", "company", "company that has gone", "many tenants"],
)
async def test_a_tenant_alone_has_all_slots_and_in_company_a_third(
    searches: Searches, seconds: float | None, tenants: list[str], started: list[str]
) -> None:
    """`seconds` after another tenant's search, if there was one."""
    if seconds is not None:
        async with searches.semaphore.slot("modest"):
            pass
        searches.clock.now = seconds
    await searches.request(*tenants)
    assert searches.started == started


async def test_the_next_slot_is_for_whoever_has_least(searches: Searches) -> None:
    await searches.request(*GREEDY)
    await searches.request("modest")
    await searches.end("greedy")
    assert searches.started[-1] == "modest"


async def test_those_who_wait_take_turns(searches: Searches) -> None:
    await searches.request(*OTHERS[:6], "first", "first", "second", "second")
    await searches.end(*OTHERS[:4])
    assert searches.started[6:] == ["first", "second", "first", "second"]


async def test_whoever_is_cancelled_while_waiting_leaves_no_gap(searches: Searches) -> None:
    await searches.request(*GREEDY[:6])
    [waiting, _] = await searches.request("third", "modest")
    waiting.cancel()
    await settled()
    await searches.end("greedy")
    assert searches.started[-1] == "modest"


async def test_a_slot_given_to_one_that_is_cancelled_goes_on(searches: Searches) -> None:
    await searches.request(*GREEDY[:6])
    [inputs, _] = await searches.request("modest", "third")
    searches.let_end("greedy")
    # The slot is given in one step of the loop, and taken in the next.
    await asyncio.sleep(0)
    inputs.cancel()
    await settled()
    assert searches.started[-1] == "third"


async def test_who_waits_is_counted_and_who_has_gone_is_not(searches: Searches) -> None:
    semaphore = searches.semaphore
    tasks = await searches.request(*["acme"] * (semaphore.capacity + 2))
    searches.clock.now = 3.0
    assert (semaphore.running, semaphore.waiting) == (semaphore.capacity, 2)
    assert semaphore.oldest_wait == 3.0
    for task in tasks[-2:]:
        task.cancel()
    await asyncio.gather(*tasks[-2:], return_exceptions=True)
    assert (semaphore.waiting, semaphore.oldest_wait) == (0, 0.0)
