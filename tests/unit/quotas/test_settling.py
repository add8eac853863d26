"""Tokens are reserved before a call, and what it used is charged after it, however it ends."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import pytest

from rag_contract import errors
from rag_gateway.leases import Lease
from rag_gateway.quotas.buckets import Decision, Request
from rag_gateway.quotas.memory import LocalBuckets
from rag_gateway.quotas.service import Cost, Quotas
from rag_gateway.quotas.tiers import Tier, Unit
from tests.support.clock import Clock
from tests.support.quotas.spending import FREE, SEARCH, left, quotas, refusal, use
from tests.support.quotas.stores import OneTier, caller, limits


async def test_tokens_are_reserved_while_the_call_runs(clock: Clock) -> None:
    mine = quotas(clock, limits(tokens=(100, 1)))
    async with mine.reserve(caller(), Cost(tokens=70)):
        assert await left(mine, Unit.TOKENS) == 30
        error = await refusal(mine, Cost(tokens=40))
    assert type(error) is errors.TokenBudget
    assert error.metadata["unit"] == "tokens"
    assert error.retry_after == 10.0


@pytest.mark.parametrize(
    ("estimate", "used", "remaining"),
    [
        *((70, [5, used], 200 - used) for used in (0, 30, 70, 95, 150)),
        (5000, [40], 160),
        (60, [], 140),
    ],
)
async def test_what_was_used_is_what_is_charged_or_else_the_estimate(
    clock: Clock, estimate: int, used: list[int], remaining: int
) -> None:
    mine = quotas(clock, limits(tokens=(200, 1)))
    async with mine.reserve(caller(), Cost(tokens=estimate)) as usage:
        assert await left(mine, Unit.TOKENS) == max(0, 200 - estimate)
        for tokens in used:
            usage.record(tokens)
    assert await left(mine, Unit.TOKENS) == remaining


async def test_who_used_more_than_there_was_waits_longer(clock: Clock) -> None:
    mine = quotas(clock, limits(tokens=(100, 1)))
    async with mine.reserve(caller(), Cost(tokens=100)) as spent:
        spent.record(160)
    error = await refusal(mine, Cost(tokens=1))
    assert error.retry_after == 61.0
    assert await left(mine, Unit.TOKENS) == 0
    await use(mine, SEARCH)


@pytest.mark.parametrize(
    ("error", "used", "remaining"),
    [
        (errors.DependencyDown("down"), None, 100),
        (ValueError("bug"), None, 100),
        (errors.DeadlineExceeded("late"), None, 40),
        (errors.DependencyDown("down"), 25, 75),
    ],
)
async def test_a_call_that_fails_is_charged_what_it_used_and_its_estimate_only_if_it_was_late(
    clock: Clock, error: Exception, used: int | None, remaining: int
) -> None:
    mine = quotas(clock, limits(tokens=(100, 1)))

    async def call() -> None:
        async with mine.reserve(caller(), Cost(tokens=60)) as usage:
            if used is not None:
                usage.record(used)
            raise error

    with pytest.raises(type(error)):
        await call()
    assert await left(mine, Unit.TOKENS) == remaining


async def test_a_cancelled_call_is_settled(clock: Clock) -> None:
    mine = quotas(clock, limits(tokens=(100, 1), streams=1))
    inside = asyncio.Event()

    async def call() -> None:
        async with mine.reserve(caller(), Cost(tokens=60, stream=True)) as spent:
            spent.record(25)
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
        async with mine.reserve(caller(), Cost(tokens=60, stream=True)) as spent:
            spent.record(10)
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
    await mine.join()
    assert await left(mine, Unit.TOKENS) == 100
    assert await left(mine, Unit.CONCURRENT_STREAMS) == 1


class _Slow(LocalBuckets):
    """Answers when it is let go."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def acquire(self, group: str, requests: Sequence[Request], lease: Lease) -> Decision:
        self.asked.set()
        await self.go.wait()
        return await super().acquire(group, requests, lease)
