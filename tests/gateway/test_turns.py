"""Nobody waits for all that another has asked for."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from rag_gateway.turns import Turns


class Clock:
    """Time that stands until it is told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Searches:
    """Searches that go on until they are told to end."""

    def __init__(self, most: int) -> None:
        self.clock = Clock()
        self.turns = Turns(most, self.clock)
        self.begun: list[str] = []
        self._ends: list[tuple[str, asyncio.Event]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def ask(self, tenant: str) -> "asyncio.Task[None]":
        task = asyncio.create_task(self._search(tenant))
        self._tasks.append(task)
        return task

    async def _search(self, tenant: str) -> None:
        async with self.turns.turn(tenant):
            end = asyncio.Event()
            self.begun.append(tenant)
            self._ends.append((tenant, end))
            await end.wait()

    async def end(self, tenant: str) -> None:
        """End one of the tenant's, and let others begin."""
        self.let_end(tenant)
        await settled()

    def let_end(self, tenant: str) -> None:
        """End one of the tenant's at the loop's next step."""
        found = next(one for one in self._ends if one[0] == tenant)
        self._ends.remove(found)
        found[1].set()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def searches() -> AsyncIterator[Searches]:
    made = Searches(6)
    yield made
    await made.close()


async def test_a_tenant_alone_has_all_places(searches: Searches) -> None:
    for _ in range(9):
        searches.ask("greedy")
    await settled()
    assert searches.begun == ["greedy"] * 6


async def test_in_company_a_tenant_has_a_third(searches: Searches) -> None:
    async with searches.turns.turn("modest"):
        pass
    for _ in range(9):
        searches.ask("greedy")
    await settled()
    assert searches.begun == ["greedy"] * 2


async def test_a_tenant_in_company_begins_at_once(searches: Searches) -> None:
    async with searches.turns.turn("modest"):
        pass
    for _ in range(9):
        searches.ask("greedy")
    searches.ask("modest")
    await settled()
    assert searches.begun[-1] == "modest"


async def test_the_next_place_is_for_whoever_has_least(searches: Searches) -> None:
    for _ in range(9):
        searches.ask("greedy")
    await settled()
    searches.ask("modest")
    await settled()
    await searches.end("greedy")
    assert searches.begun[-1] == "modest"


async def test_however_many_tenants_there_are_no_more_begin_than_there_are_places(
    searches: Searches,
) -> None:
    for number in range(9):
        searches.ask(f"tenant-{number}")
    await settled()
    assert len(searches.begun) == 6


async def test_those_who_wait_take_turns(searches: Searches) -> None:
    for number in range(6):
        searches.ask(f"tenant-{number}")
    for tenant in ("first", "first", "second", "second"):
        searches.ask(tenant)
    await settled()
    for number in range(4):
        await searches.end(f"tenant-{number}")
    assert searches.begun[6:] == ["first", "second", "first", "second"]


async def test_company_that_has_gone_is_forgotten(searches: Searches) -> None:
    async with searches.turns.turn("modest"):
        pass
    searches.clock.now = 61.0
    for _ in range(9):
        searches.ask("greedy")
    await settled()
    assert searches.begun == ["greedy"] * 6


async def test_whoever_is_cancelled_while_waiting_leaves_no_gap(searches: Searches) -> None:
    for _ in range(6):
        searches.ask("greedy")
    await settled()
    waiting = searches.ask("third")
    searches.ask("modest")
    await settled()
    waiting.cancel()
    await settled()
    await searches.end("greedy")
    assert searches.begun[-1] == "modest"


async def test_a_place_given_to_one_that_is_cancelled_goes_on(searches: Searches) -> None:
    for _ in range(6):
        searches.ask("greedy")
    await settled()
    given = searches.ask("modest")
    searches.ask("third")
    await settled()
    searches.let_end("greedy")
    # The place is given in one step of the loop, and taken in the next.
    await asyncio.sleep(0)
    given.cancel()
    await settled()
    assert searches.begun[-1] == "third"


async def test_who_waits_is_seen_and_who_has_gone_is_not(searches: Searches) -> None:
    tasks = [searches.ask("acme") for _ in range(searches.turns.most + 2)]
    await asyncio.sleep(0)
    searches.clock.now = 3.0
    assert (searches.turns.running, searches.turns.waiting) == (searches.turns.most, 2)
    assert searches.turns.oldest == 3.0
    for task in tasks[-2:]:
        task.cancel()
    await asyncio.gather(*tasks[-2:], return_exceptions=True)
    assert (searches.turns.waiting, searches.turns.oldest) == (0, 0.0)
