"""Tokens are reserved before a call, and what it used is charged after it, however it ends."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import pytest

from rag_common import errors
from rag_gateway.adapters.local.buckets import LocalBuckets
from rag_gateway.buckets import Ask, Lease, Taken
from rag_gateway.quotas import Cost, Quotas
from rag_gateway.tiers import Tier, Unit
from tests.quotas.spending import FREE, SEARCH, left, quotas, refusal, use
from tests.quotas.stores import Clock, OneTier, caller, limits


async def test_tokens_are_reserved_while_the_call_runs(clock: Clock) -> None:
    mine = quotas(clock, limits(tokens=(100, 1)))
    async with mine.spend(caller(), Cost(tokens=70)):
        assert await left(mine, Unit.TOKENS) == 30
        error = await refusal(mine, Cost(tokens=40))
    assert type(error) is errors.TokenBudget
    assert error.metadata["unit"] == "tokens"
    assert error.retry_after == 10.0


@pytest.mark.parametrize("used", [0, 30, 70, 95, 150])
async def test_what_was_used_is_what_is_charged(clock: Clock, used: int) -> None:
    mine = quotas(clock, limits(tokens=(200, 1)))
    async with mine.spend(caller(), Cost(tokens=70)) as spent:
        spent.tokens(5)
        spent.tokens(used)
    assert await left(mine, Unit.TOKENS) == 200 - used


async def test_who_used_more_than_there_was_waits_longer(clock: Clock) -> None:
    mine = quotas(clock, limits(tokens=(100, 1)))
    async with mine.spend(caller(), Cost(tokens=100)) as spent:
        spent.tokens(160)
    error = await refusal(mine, Cost(tokens=1))
    assert error.retry_after == 61.0
    assert await left(mine, Unit.TOKENS) == 0
    await use(mine, SEARCH)


async def test_an_estimate_over_the_capacity_takes_all_there_is(clock: Clock) -> None:
    mine = quotas(clock, limits(tokens=(100, 1)))
    async with mine.spend(caller(), Cost(tokens=5000)) as spent:
        assert await left(mine, Unit.TOKENS) == 0
        spent.tokens(40)
    assert await left(mine, Unit.TOKENS) == 60


async def test_a_call_that_tells_nothing_is_charged_its_estimate(clock: Clock) -> None:
    mine = quotas(clock, limits(tokens=(100, 1)))
    await use(mine, Cost(tokens=60))
    assert await left(mine, Unit.TOKENS) == 40


@pytest.mark.parametrize(
    ("error", "remaining"),
    [(errors.Unavailable("away"), 100), (ValueError("bug"), 100),
     (errors.DeadlineExceeded("late"), 40)],
)  # fmt: skip
async def test_a_call_that_fails_before_it_tells_is_charged_only_for_running_out_of_time(
    clock: Clock, error: Exception, remaining: int
) -> None:
    mine = quotas(clock, limits(tokens=(100, 1)))
    with pytest.raises(type(error)):
        async with mine.spend(caller(), Cost(tokens=60)):
            raise error
    assert await left(mine, Unit.TOKENS) == remaining


async def test_a_call_that_fails_later_is_charged_what_it_told(clock: Clock) -> None:
    mine = quotas(clock, limits(tokens=(100, 1)))

    async def call() -> None:
        async with mine.spend(caller(), Cost(tokens=60)) as spent:
            spent.tokens(25)
            raise errors.Unavailable("away")

    with pytest.raises(errors.Unavailable):
        await call()
    assert await left(mine, Unit.TOKENS) == 75


async def test_a_cancelled_call_is_settled(clock: Clock) -> None:
    mine = quotas(clock, limits(tokens=(100, 1), streams=1))
    inside = asyncio.Event()

    async def call() -> None:
        async with mine.spend(caller(), Cost(tokens=60, stream=True)) as spent:
            spent.tokens(25)
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(call())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await left(mine, Unit.TOKENS) == 75
    assert await left(mine, Unit.CONCURRENT_STREAMS) == 1


async def test_a_stream_that_its_reader_leaves_is_settled(clock: Clock) -> None:
    mine = quotas(clock, limits(tokens=(100, 1), streams=1))

    async def words() -> AsyncGenerator[str, None]:
        async with mine.spend(caller(), Cost(tokens=60, stream=True)) as spent:
            spent.tokens(10)
            yield "first"
            yield "second"

    async with aclosing(words()) as stream:
        assert await anext(stream) == "first"
    assert await left(mine, Unit.TOKENS) == 90
    assert await left(mine, Unit.CONCURRENT_STREAMS) == 1


async def test_a_call_cancelled_while_it_asks_gives_back_what_it_was_granted(clock: Clock) -> None:
    buckets = _Slow(clock)
    mine = Quotas(OneTier(Tier(limits(tokens=(100, 1), streams=1), FREE)), buckets)
    task = asyncio.create_task(use(mine, Cost(tokens=60, stream=True)))
    await buckets.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    buckets.go.set()
    await mine.settled()
    assert await left(mine, Unit.TOKENS) == 100
    assert await left(mine, Unit.CONCURRENT_STREAMS) == 1


class _Slow(LocalBuckets):
    """Answers when it is let go."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def take(self, group: str, asks: Sequence[Ask], lease: Lease) -> Taken:
        self.asked.set()
        await self.go.wait()
        return await super().take(group, asks, lease)
