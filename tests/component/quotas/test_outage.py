"""Redis away, slow, busy or read only: no call fails, and the shared buckets are back when it is."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from rag_gateway.idempotency.service import Key, State
from rag_gateway.leases import Lease
from rag_gateway.quotas.buckets import Bucket, Request
from rag_gateway.quotas.service import Cost, Quotas
from rag_gateway.quotas.tiers import Limits, Tier, Unit
from rag_gateway.quotas.wiring import build_buckets
from rag_gateway.redis.connection import connected
from tests.support.quotas.stores import LEASE, OneTier, Replica, caller, limits, replica
from tests.support.redis import RedisServer, redis_server
from tests.support.rpc import logged
from tests.support.waiting import until

BUCKET = Bucket("calls", 1000)
KEY = Key("acme", "Answer", "id")


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as result:
        yield result


@pytest.fixture
async def mine(server: RedisServer) -> AsyncIterator[Replica]:
    async with replica(server.url) as result:
        yield result


async def back(mine: Replica) -> None:
    await until(lambda: mine.store.available, "the store is in use again")


async def test_local_buckets_are_used_until_a_killed_store_starts_again(
    mine: Replica, server: RedisServer
) -> None:
    with logged() as lines:
        assert not (await mine.acquire(BUCKET, 1000)).local
        server.kill()
        decision = await mine.acquire(BUCKET)
        assert (decision.granted, decision.local, decision.levels) == (True, True, (999,))
        assert not mine.store.available
        for _ in range(5):
            await mine.acquire(BUCKET)
            await mine.store.check()
        server.start()
        await back(mine)
        decision = await mine.acquire(BUCKET)
        assert (decision.local, decision.levels) == (False, (999,))
    assert [line["up"] for line in lines.of("quota_store")] == [False, True]


async def test_a_store_that_goes_away_is_noticed_without_a_call(
    mine: Replica, server: RedisServer
) -> None:
    server.kill()
    await until(lambda: not mine.store.available, "the store is unavailable")
    assert mine.store.last_error == "ConnectionError"
    server.start()
    await back(mine)
    assert mine.store.last_error == ""


async def test_while_the_store_is_out_of_use_no_call_asks_it(server: RedisServer) -> None:
    """Not even one that answers again: that is for the background to find out."""
    async with replica(server.url, retry_seconds=3600) as mine:
        server.kill()
        await mine.acquire(BUCKET)
        server.start()
        assert (await mine.acquire(BUCKET)).local
        await mine.store.check()
        assert not (await mine.acquire(BUCKET)).local


async def test_a_store_killed_under_load_fails_no_call(mine: Replica, server: RedisServer) -> None:
    """Callers go on through crash and restart, and are answered by one kind of bucket or the other."""
    answered = Counter[bool]()
    callers = [asyncio.create_task(_call_on(mine, answered)) for _ in range(50)]
    await until(lambda: answered[False] > 500, "the shared buckets answer")
    server.kill()
    await until(lambda: answered[True] > 500, "our own buckets answer")
    server.start()
    await back(mine)
    answered.clear()
    await until(lambda: answered[False] > 500, "the shared buckets answer again")
    for task in callers:
        task.cancel()
    ends = await asyncio.gather(*callers, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends)


async def test_a_store_that_hangs_is_left(server: RedisServer) -> None:
    async with replica(server.url, timeout=0.05) as mine:
        server.freeze()
        assert (await mine.acquire(BUCKET)).local
        server.thaw()
        await back(mine)


async def test_a_store_that_only_reads_is_left_until_it_writes(
    mine: Replica, server: RedisServer
) -> None:
    async with connected(server.url) as admin:
        await admin.execute_command("REPLICAOF", "127.0.0.1", "1")
        assert (await mine.acquire(BUCKET)).local
        await mine.store.check()
        assert not mine.store.available
        await admin.execute_command("REPLICAOF", "NO", "ONE")
        await back(mine)


async def test_a_store_that_still_loads_is_left(mine: Replica, server: RedisServer) -> None:
    async with Redis.from_url(server.url, socket_timeout=None) as admin:
        await admin.mset({f"key {n}": b"x" * 1024 for n in range(2000)})
        await admin.save()
    server.stop()
    # Microseconds for each key: eight seconds in all. Calls are answered after each KiB.
    server.start("--key-load-delay", "4000", "--loading-process-events-interval-bytes", "1024",
                 "--rdbcompression", "no")  # fmt: skip
    async with Redis.from_url(server.url, socket_timeout=None) as admin:
        assert (await admin.info("persistence"))["loading"] == 1
        assert (await mine.acquire(BUCKET)).local
    await mine.store.check()
    assert not mine.store.available


async def test_a_store_that_was_never_there_is_no_error() -> None:
    with logged() as lines:
        async with replica("redis://127.0.0.1:1/0", retry_seconds=60) as mine:
            result = await asyncio.gather(*(mine.acquire(BUCKET) for _ in range(20)))
    assert all(each.granted and each.local for each in result)
    assert [line["up"] for line in lines.of("quota_store")] == [False]


async def test_a_loop_that_stood_still_is_not_a_store_that_hangs(server: RedisServer) -> None:
    """The reply is there when the loop goes on, so the time that the loop took does not count."""
    async with replica(server.url, timeout=0.05) as mine:
        for turns in range(12):
            taking = asyncio.create_task(mine.acquire(BUCKET))
            for _ in range(turns):
                await asyncio.sleep(0)
            time.sleep(0.06)  # noqa: ASYNC251 - the loop is to stand still
            assert not (await taking).local


async def test_what_was_taken_here_is_settled_here(mine: Replica, server: RedisServer) -> None:
    server.kill()
    acquired = await mine.acquire(BUCKET, 10)
    server.start()
    await back(mine)
    await mine.acquire(BUCKET, 10)
    await mine.buckets.settle("acme", [Request(BUCKET, 10)], LEASE, local=acquired.local)
    assert (await mine.acquire(BUCKET, 0)).levels == (990,)
    server.kill()
    assert (await mine.acquire(BUCKET, 0)).levels == (1000,)


async def test_a_stream_outlives_the_store_that_it_began_with(
    mine: Replica, server: RedisServer
) -> None:
    tier = Tier(limits(tokens=(100, 1), streams=2), Limits())
    quotas = Quotas(OneTier(tier), mine.buckets, lease_seconds=0.05)
    async with quotas.reserve(caller(), Cost(tokens=50, stream=True)) as spent:
        server.kill()
        async with quotas.reserve(caller(), Cost(stream=True)):
            pass
        spent.record(10)
    standing = await quotas.status(caller())
    assert standing.local
    assert all(q.remaining == q.limit for q in standing.quotas if q.unit is not Unit.REQUESTS)


async def test_a_reply_is_found_again_while_the_store_is_away(
    mine: Replica, server: RedisServer
) -> None:
    assert (await mine.replies.claim(KEY, "print", LEASE)).state is State.CLAIMED
    server.kill()
    await mine.replies.finish(KEY, "print", LEASE, b"reply")
    result = await mine.replies.claim(KEY, "print", Lease("another", 60))
    assert (result.state, result.response) == (State.STORED, b"reply")


async def test_without_a_store_nothing_is_called_local() -> None:
    """There is nothing that our own buckets stand in for."""
    acquired = await build_buckets(None).acquire("acme", [Request(BUCKET, 1)], LEASE)
    assert not acquired.local


async def _call_on(mine: Replica, answered: Counter[bool]) -> None:
    while True:
        result = await mine.acquire(BUCKET, 0)
        assert result.granted
        answered[result.local] += 1
        await asyncio.sleep(0)
