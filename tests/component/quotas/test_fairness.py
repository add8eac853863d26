"""Never more than capacity and refill, whoever asks, in whatever order and at the same moment."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from rag_gateway.leases import Lease
from rag_gateway.quotas.buckets import EPSILON, Bucket, Request
from rag_gateway.quotas.memory import LocalBuckets
from tests.support.clock import Clock
from tests.support.quotas.stores import LEASE, replica
from tests.support.redis import RedisServer

AMOUNTS = st.floats(0.1, 40, allow_nan=False)


@given(
    capacity=st.integers(1, 50),
    refill=st.floats(0, 20, allow_nan=False),
    steps=st.lists(st.tuples(st.floats(0, 5, allow_nan=False), AMOUNTS), max_size=60),
)
def test_in_no_window_is_more_granted_than_capacity_and_refill(
    capacity: int, refill: float, steps: list[tuple[float, float]]
) -> None:
    clock = Clock()
    granted = asyncio.run(_granted(clock, Bucket("calls", capacity, refill), steps))
    for first, (start, _) in enumerate(granted):
        total = 0.0
        for moment, amount in granted[first:]:
            total += amount
            assert total <= capacity + refill * (moment - start) + EPSILON * len(granted)


async def _granted(
    clock: Clock, bucket: Bucket, steps: list[tuple[float, float]]
) -> list[tuple[float, float]]:
    buckets = LocalBuckets(clock)
    result = []
    for seconds, amount in steps:
        clock.now += seconds
        if (await buckets.acquire("acme", [Request(bucket, amount)], LEASE)).granted:
            result.append((clock.now, amount))
    return result


@given(
    st.lists(st.tuples(st.sampled_from(["take", "end", "crash"]), st.integers(0, 5)), max_size=60)
)
def test_never_are_more_streams_held_than_there_may_be(steps: list[tuple[str, int]]) -> None:
    asyncio.run(_held(steps))


async def _held(steps: list[tuple[str, int]]) -> None:
    clock, bucket = Clock(), Bucket("streams", 3, held=True)
    buckets = LocalBuckets(clock)
    ends: dict[str, float] = {}
    for verb, number in steps:
        holder = f"holder {number}"
        if verb == "take" and holder not in ends:
            lease = Lease(holder, 10)
            if (await buckets.acquire("acme", [Request(bucket, 1)], lease)).granted:
                ends[holder] = clock.now + 10
        elif verb == "end":
            ends.pop(holder, None)
            await buckets.settle("acme", [Request(bucket, 1)], Lease(holder, 10))
        else:
            clock.now += number
            ends = {name: end for name, end in ends.items() if end > clock.now}
        level = (await buckets.acquire("acme", [Request(bucket, 0)], LEASE)).levels[0]
        assert level == 3 - len(ends) >= 0


async def test_two_replicas_grant_together_what_one_would(common_server: RedisServer) -> None:
    bucket = Bucket("two replicas", 137)
    async with replica(common_server.url) as one, replica(common_server.url) as two:
        result = await asyncio.gather(*((one, two)[n % 2].acquire(bucket) for n in range(500)))
    assert sum(each.granted for each in result) == 137
    assert not any(each.local for each in result)
