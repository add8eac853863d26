"""The contract of buckets: all or nothing, debts with a bound, leases that end. Local and in Redis."""

import asyncio
import math

import pytest
from redis.asyncio import Redis

from rag_gateway.leases import Lease
from rag_gateway.quotas.buckets import Bucket, Buckets, Request, reset, wait
from rag_gateway.quotas.memory import LocalBuckets
from rag_gateway.quotas.redis import RedisBuckets
from rag_gateway.redis.circuit import SharedStore
from tests.support.clock import Clock
from tests.support.quotas.stores import LEASE, PATIENT, UNTOLD
from tests.support.waiting import until

CALLS = Bucket("calls", 10)
WORDS = Bucket("words", 100)
STREAMS = Bucket("streams", 2, held=True)


async def levels(buckets: Buckets, *which: Bucket, group: str = "acme") -> tuple[float, ...]:
    return (await buckets.acquire(group, [Request(bucket, 0) for bucket in which], LEASE)).levels


async def acquired(
    buckets: Buckets, *requests: Request, lease: Lease = LEASE, group: str = "acme"
) -> bool:
    return (await buckets.acquire(group, requests, lease)).granted


async def test_a_full_bucket_of_a_group_has_less_after_each_request(buckets: Buckets) -> None:
    assert await levels(buckets, CALLS, STREAMS) == (10, 2)
    decision = await buckets.acquire(
        "acme", [Request(CALLS, 3), Request(WORDS, 40.5), Request(STREAMS, 1)], LEASE
    )
    assert decision.granted
    assert decision.levels == (7, 59.5, 1)
    assert await levels(buckets, CALLS, WORDS, STREAMS) == (7, 59.5, 1)
    assert await levels(buckets, CALLS, STREAMS, group="other") == (10, 2)


async def test_no_more_is_granted_than_there_is(buckets: Buckets) -> None:
    assert [await acquired(buckets, Request(CALLS, 4)) for _ in range(4)] == [
        True,
        True,
        False,
        False,
    ]
    assert await acquired(buckets, Request(CALLS, 2))


@pytest.mark.parametrize("short", [Request(CALLS, 11), Request(WORDS, 101), Request(STREAMS, 1)])
async def test_a_refusal_takes_nothing_from_any(buckets: Buckets, short: Request) -> None:
    for holder in ("one", "two"):
        await acquired(buckets, Request(STREAMS, 1), lease=Lease(holder, 60))
    for order in (1, -1):
        requests = [Request(CALLS, 1), Request(WORDS, 1), short][::order]
        result = await buckets.acquire("acme", requests, LEASE)
        assert not result.granted
    assert await levels(buckets, CALLS, WORDS, STREAMS) == (10, 100, 0)


async def test_looking_takes_nothing_even_in_debt(buckets: Buckets) -> None:
    await buckets.settle("acme", [Request(WORDS, -130)], LEASE, local=False)
    assert await levels(buckets, WORDS, CALLS) == (-30, 10)
    assert await levels(buckets, WORDS, CALLS) == (-30, 10)


async def test_a_bucket_refills_by_and_by_and_up_to_its_capacity(buckets: Buckets) -> None:
    quick, slow = Bucket("quick", 10, refill=1e6), Bucket("slow", 1000, refill=10)
    assert await acquired(buckets, Request(quick, 10), Request(slow, 1000))
    await until(lambda: acquired(buckets, Request(quick, 10)), "the bucket is full again")
    assert (await levels(buckets, quick))[0] <= 10

    async def some_is_back() -> bool:
        return 0 < (await levels(buckets, slow))[0] < 1000

    await until(some_is_back, "some is back")


async def test_what_was_reserved_in_vain_comes_back_up_to_the_capacity(buckets: Buckets) -> None:
    await acquired(buckets, Request(WORDS, 80))
    for level in (70, 100):
        await buckets.settle("acme", [Request(WORDS, 50)], LEASE, local=False)
        assert await levels(buckets, WORDS) == (level,)


async def test_a_debt_keeps_others_out_until_it_is_paid(buckets: Buckets) -> None:
    await acquired(buckets, Request(WORDS, 100))
    await buckets.settle("acme", [Request(WORDS, -1)], LEASE, local=False)
    await buckets.settle("acme", [Request(WORDS, 1.5)], LEASE, local=False)
    assert not await acquired(buckets, Request(WORDS, 1))
    await buckets.settle("acme", [Request(WORDS, 1)], LEASE, local=False)
    assert await acquired(buckets, Request(WORDS, 1))


async def test_a_debt_is_no_deeper_than_the_bucket(buckets: Buckets) -> None:
    await buckets.settle("acme", [Request(WORDS, -1e9)], LEASE, local=False)
    assert await levels(buckets, WORDS) == (-100,)


async def test_a_lease_is_let_go_by_its_holder_alone(buckets: Buckets) -> None:
    one, two = Lease("one", 60), Lease("two", 60)
    for lease in (one, two):
        await acquired(buckets, Request(STREAMS, 1), lease=lease)
    await buckets.settle("acme", [Request(STREAMS, 1)], Lease("stranger", 60), local=False)
    assert await levels(buckets, STREAMS) == (0,)
    await buckets.settle("acme", [Request(STREAMS, 1)], one, local=False)
    assert await levels(buckets, STREAMS) == (1,)


@pytest.mark.parametrize("renewed", [False, True])
async def test_the_lease_of_a_crashed_holder_ends_and_a_renewed_one_goes_on(
    buckets: Buckets, renewed: bool
) -> None:
    alive = Lease("alive", 60)
    await acquired(buckets, Request(STREAMS, 1), lease=Lease("crashed", 0.05))
    await acquired(buckets, Request(STREAMS, 1), lease=Lease("alive", 0.05) if renewed else alive)
    if renewed:
        await buckets.renew("acme", [STREAMS], alive, local=False)

    async def one_is_free() -> bool:
        return await levels(buckets, STREAMS) == (1,)

    await until(one_is_free, "the lease that was not renewed has ended")


async def test_a_lower_capacity_holds_at_once(buckets: Buckets) -> None:
    await acquired(buckets, Request(CALLS, 1))
    assert await levels(buckets, Bucket("calls", 5)) == (5,)


async def test_in_redis_a_full_bucket_is_no_key_and_others_go_when_they_would_be_full(
    redis: Redis,
) -> None:
    buckets = RedisBuckets(SharedStore(redis, "rag:", UNTOLD, timeout=PATIENT), "rag:")
    requests = [Request(Bucket("slow", 100, refill=0.5), 50), Request(Bucket("unused", 5), 0)]
    await buckets.acquire("acme", [*requests, Request(STREAMS, 1)], Lease("holder", 30))
    assert sorted(await redis.keys()) == [b"rag:quota:{acme}:slow", b"rag:quota:{acme}:streams"]
    assert 99_000 < await redis.pttl("rag:quota:{acme}:slow") <= 101_000
    assert 29_000 < await redis.pttl("rag:quota:{acme}:streams") <= 31_000


async def test_redis_that_forgot_the_scripts_gets_them_again(redis: Redis) -> None:
    buckets = RedisBuckets(SharedStore(redis, "rag:", UNTOLD, timeout=PATIENT), "rag:")
    await buckets.acquire("acme", [Request(CALLS, 1)], LEASE)
    await redis.script_flush()
    result = await buckets.acquire("acme", [Request(CALLS, 1)], LEASE)
    assert result.levels == (8,)


async def test_memory_stays_within_its_bound(clock: Clock) -> None:
    buckets = LocalBuckets(clock, max_buckets=3)
    for group in "abcd":
        await acquired(buckets, Request(CALLS, 1), Request(STREAMS, 1), group=group)
    assert await levels(buckets, CALLS, STREAMS, group="a") == (10, 2)
    assert await levels(buckets, CALLS, STREAMS, group="b") == (9, 1)


async def test_a_clock_that_goes_back_takes_nothing_away(clock: Clock) -> None:
    buckets = LocalBuckets(clock)
    bucket = Bucket("calls", 10, refill=1)
    await acquired(buckets, Request(bucket, 5))
    clock.now -= 100
    assert await levels(buckets, bucket) == (5,)


async def test_after_the_wait_that_was_told_there_is_enough(clock: Clock) -> None:
    buckets = LocalBuckets(clock)
    bucket = Bucket("calls", 10, refill=0.3)
    await acquired(buckets, Request(bucket, 9.9))
    result = await buckets.acquire("acme", [Request(bucket, 7)], LEASE)
    seconds = wait(Request(bucket, 7), result.levels[0])
    clock.now += seconds - 0.01
    assert not await acquired(buckets, Request(bucket, 7))
    clock.now += 0.01
    assert await acquired(buckets, Request(bucket, 7))


def test_a_wait_that_never_ends_is_infinite() -> None:
    assert wait(Request(Bucket("small", 5, refill=1), 6), 5) == math.inf
    assert wait(Request(Bucket("dry", 5), 1), 0) == math.inf
    assert wait(Request(Bucket("small", 5, refill=1), 5), 5) == 0


def test_a_reset_is_the_time_to_full() -> None:
    assert reset(Bucket("calls", 10, refill=2), 4) == 3
    assert reset(STREAMS, 0) == 0


async def test_callers_at_the_same_moment_get_no_more_than_there_is(buckets: Buckets) -> None:
    requests = [Request(Bucket("calls", 100), 1), Request(Bucket("streams", 70, held=True), 1)]
    granted = await asyncio.gather(
        *(acquired(buckets, *requests, lease=Lease(f"holder {n}", 60)) for n in range(500))
    )
    assert sum(granted) == 70
    assert await levels(buckets, *(ask.bucket for ask in requests)) == (30, 0)
