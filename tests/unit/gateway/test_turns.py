"""The semaphore of searches is fair across tenants, and refuses those that would wait too long."""

import asyncio
from collections.abc import AsyncIterator
from math import inf

import pytest

from rag_contract.errors import QueueFull
from rag_gateway.answering.fair_semaphore import FairSemaphore
from rag_gateway.answering.wait_limit import WaitLimit
from tests.support.clock import Clock


class Searches:
    """Searches that go on until they are told to end."""

    def __init__(self, max_running: int, burst: float = inf, overloaded: float = inf) -> None:
        self.clock = Clock(0.0)
        limit = WaitLimit(burst, overloaded, self.clock)
        self.refused = 0
        self.semaphore = FairSemaphore(max_running, limit, self.count, self.clock)
        self.started: list[str] = []
        self._ends: list[tuple[str, asyncio.Event]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def count(self) -> None:
        self.refused += 1

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


@pytest.fixture
async def bounded() -> AsyncIterator[Searches]:
    """Of two slots; searches take 0.1 s each, and may wait 0.5 s, or 0.1 s in an overload."""
    searches = Searches(2, burst=0.5, overloaded=0.1)
    await searches.request("acme")
    searches.clock.now += 0.1
    await searches.end("acme")
    yield searches
    await searches.close()


def refused(tasks: "list[asyncio.Task[None]]") -> list[QueueFull]:
    failures = [task.exception() for task in tasks if task.done()]
    return [error for error in failures if isinstance(error, QueueFull)]


async def test_a_burst_waits_as_long_as_it_may_and_the_rest_is_refused_at_once(
    bounded: Searches,
) -> None:
    """Two run; the tenth of those that wait begins after five times 0.1 s."""
    tasks = await bounded.request(*["acme"] * 20)
    assert (bounded.semaphore.running, bounded.semaphore.waiting) == (2, 10)
    found = refused(tasks)
    assert len(found) == bounded.refused == 8
    assert {error.metadata["subject"] for error in found} == {"search_queue"}
    assert all(error.retry_after == 1.0 for error in found)


async def overload(searches: Searches) -> None:
    """For two seconds more searches of acme come than can be served; all that were admitted then end."""
    await searches.request(*["acme"] * 12)
    for _ in range(20):
        searches.clock.now += 0.1
        await searches.end("acme")
        await searches.request("acme", "acme")
    while searches.semaphore.running:
        await searches.end("acme")


async def test_in_a_lasting_overload_half_of_the_slots_are_used_and_one_may_wait(
    bounded: Searches,
) -> None:
    await overload(bounded)
    tasks = await bounded.request(*["acme"] * 20)
    assert (bounded.semaphore.running, bounded.semaphore.waiting) == (1, 1)
    assert len(refused(tasks)) == 18


async def test_a_queue_that_lasts_and_is_short_is_no_overload(bounded: Searches) -> None:
    """Four callers who ask again and again: each waits for 0.08 s, under a fifth of the longest wait."""
    tasks = await bounded.request(*["acme"] * 4)
    for _ in range(30):
        bounded.clock.now += 0.08
        await bounded.end("acme", "acme")
        tasks += await bounded.request("acme", "acme")
    assert refused(tasks) == []
    assert bounded.semaphore.running == 2


async def test_an_overload_ends_when_few_are_refused(bounded: Searches) -> None:
    await overload(bounded)
    bounded.clock.now += 1.0
    await bounded.request("acme")
    await bounded.end("acme")
    bounded.clock.now += 1.0
    tasks = await bounded.request(*["acme"] * 6)
    assert refused(tasks) == []
    assert bounded.semaphore.running == 2


async def test_a_tenant_that_fills_the_queue_does_not_get_others_refused(bounded: Searches) -> None:
    await overload(bounded)
    await bounded.request(*["greedy"] * 30)
    tasks = await bounded.request("modest", *["greedy"] * 3)
    assert refused(tasks[:1]) == []
    assert len(refused(tasks[1:])) == 3
    await bounded.end("greedy", "greedy")
    assert bounded.started[-1] == "modest"


async def test_a_search_that_waits_longer_than_expected_is_refused_then() -> None:
    """The searches that hold the slots hang, which the mean of former ones does not tell."""
    hanging = Searches(1, burst=0.05)
    tasks = await hanging.request("acme", "acme")
    await asyncio.wait(tasks, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
    assert len(refused(tasks)) == 1
    assert hanging.semaphore.waiting == 0
    await hanging.end("acme")
    assert (await hanging.request("acme"))[0].done() is False
    await hanging.close()


def test_an_overload_begins_with_a_second_of_late_searches_and_lasts_while_many_are_refused() -> (
    None
):
    clock = Clock(0.0)
    limit = WaitLimit(0.5, 0.05, clock)

    def second(arrived: int, refused: int) -> bool:
        """Whether there is an overload after a second with so many searches."""
        for number in range(arrived):
            limit.arrived()
            if number < refused:
                limit.refused()
        clock.now += 1.0
        return limit.overloaded

    limit.admitted(0.11)
    clock.now += 0.5
    limit.admitted(0.09)
    limit.admitted(0.11)
    assert [second(10, 0), second(100, 90), second(100, 11), second(100, 10)] == [
        True, True, True, False,
    ]  # fmt: skip


def test_the_first_of_a_tenant_may_wait_for_two_searches_in_an_overload() -> None:
    clock = Clock(0.0)
    limit = WaitLimit(0.5, 0.05, clock)
    assert limit.seconds(first=False, search=0.2) == 0.5
    limit.admitted(0.2)
    clock.now += 1.0
    limits = [limit.seconds(first=first, search=0.2) for first in (True, False)]
    assert limits == [0.4, 0.05]
    assert limit.seconds(first=True, search=3.0) == 0.5


def test_an_overload_has_ended_after_two_seconds_without_a_search() -> None:
    clock = Clock(0.0)
    limit = WaitLimit(0.5, 0.05, clock)
    limit.admitted(0.2)
    clock.now += 1.0
    limit.arrived()
    limit.refused()
    clock.now += 2.0
    assert not limit.overloaded
