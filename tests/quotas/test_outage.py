"""Redis away, slow, busy or read only: no call fails, and the shared buckets are back when it is."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from rag_gateway.adapters.redis.connection import connected
from rag_gateway.adapters.redis.sharing import sharing
from rag_gateway.buckets import Ask, Bucket, Lease
from rag_gateway.idempotency import Key, State
from rag_gateway.quotas import Cost, Quotas
from rag_gateway.tiers import Limits, Tier, Unit
from tests.quotas.stores import LEASE, UNTOLD, OneTier, Replica, caller, limits, replica
from tests.redis import RedisServer, redis_server
from tests.rpc import logged
from tests.waiting import until

BUCKET = Bucket("calls", 1000)
KEY = Key("acme", "Answer", "id")


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as found:
        yield found


@pytest.fixture
async def mine(server: RedisServer) -> AsyncIterator[Replica]:
    async with replica(server.url) as found:
        yield found


async def back(mine: Replica) -> None:
    await until(lambda: mine.store.up, "the store is in use again")


async def test_a_store_that_is_killed_leaves_the_local_buckets(
    mine: Replica, server: RedisServer
) -> None:
    assert not (await mine.take(BUCKET, 1000)).local
    server.kill()
    found = await mine.take(BUCKET)
    assert (found.granted, found.local, found.levels) == (True, True, (999,))
    assert not mine.store.up


async def test_a_store_that_goes_away_is_noticed_without_a_call(
    mine: Replica, server: RedisServer
) -> None:
    server.kill()
    await until(lambda: not mine.store.up, "the store is left")
    assert mine.store.trouble == "ConnectionError"
    server.start()
    await back(mine)
    assert mine.store.trouble == ""


async def test_while_the_store_is_out_of_use_no_call_asks_it(server: RedisServer) -> None:
    """Not even one that answers again: that is for the background to find out."""
    async with replica(server.url, retry_seconds=3600) as mine:
        server.kill()
        await mine.take(BUCKET)
        server.start()
        assert (await mine.take(BUCKET)).local
        await mine.store.check()
        assert not (await mine.take(BUCKET)).local


async def test_a_store_that_starts_again_is_used_again(mine: Replica, server: RedisServer) -> None:
    server.kill()
    assert (await mine.take(BUCKET, 10)).local
    server.start()
    await back(mine)
    found = await mine.take(BUCKET)
    assert (found.local, found.levels) == (False, (999,))


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
        assert (await mine.take(BUCKET)).local
        server.thaw()
        await back(mine)


async def test_a_store_that_only_reads_is_left_until_it_writes(
    mine: Replica, server: RedisServer
) -> None:
    async with connected(server.url) as admin:
        await admin.execute_command("REPLICAOF", "127.0.0.1", "1")
        assert (await mine.take(BUCKET)).local
        await mine.store.check()
        assert not mine.store.up
        await admin.execute_command("REPLICAOF", "NO", "ONE")
        await back(mine)


async def test_a_store_that_still_loads_is_left(mine: Replica, server: RedisServer) -> None:
    async with Redis.from_url(server.url, socket_timeout=None) as admin:
        for n in range(400):
            await admin.set(f"key {n}", os.urandom(100_000))
        await admin.save()
    server.stop()
    # Microseconds for each key: eight seconds in all.
    server.start("--key-load-delay", "20000")
    async with Redis.from_url(server.url, socket_timeout=None) as admin:
        assert (await admin.info("persistence"))["loading"] == 1
        assert (await mine.take(BUCKET)).local
    await mine.store.check()
    assert not mine.store.up


async def test_a_store_that_was_never_there_is_no_error() -> None:
    with logged() as lines:
        async with replica("redis://127.0.0.1:1/0", retry_seconds=60) as mine:
            found = await asyncio.gather(*(mine.take(BUCKET) for _ in range(20)))
    assert all(each.granted and each.local for each in found)
    assert [line["up"] for line in lines.of("quota_store")] == [False]


async def test_only_changes_are_logged(mine: Replica, server: RedisServer) -> None:
    with logged() as lines:
        server.kill()
        for _ in range(5):
            await mine.take(BUCKET)
            await mine.store.check()
        server.start()
        await back(mine)
        await mine.take(BUCKET)
    assert [line["up"] for line in lines.of("quota_store")] == [False, True]


async def test_a_loop_that_stood_still_is_not_a_store_that_hangs(server: RedisServer) -> None:
    """The reply is there when the loop goes on, so the time that the loop took does not count."""
    async with replica(server.url, timeout=0.05) as mine:
        for turns in range(12):
            taking = asyncio.create_task(mine.take(BUCKET))
            for _ in range(turns):
                await asyncio.sleep(0)
            _stand_still(0.06)
            assert not (await taking).local


async def test_what_was_taken_here_is_settled_here(mine: Replica, server: RedisServer) -> None:
    server.kill()
    taken = await mine.take(BUCKET, 10)
    server.start()
    await back(mine)
    await mine.take(BUCKET, 10)
    await mine.buckets.settle("acme", [Ask(BUCKET, 10)], LEASE, local=taken.local)
    assert (await mine.take(BUCKET, 0)).levels == (990,)
    server.kill()
    assert (await mine.take(BUCKET, 0)).levels == (1000,)


async def test_a_stream_outlives_the_store_that_it_began_with(
    mine: Replica, server: RedisServer
) -> None:
    tier = Tier(limits(tokens=(100, 1), streams=2), Limits())
    quotas = Quotas(OneTier(tier), mine.buckets, lease_seconds=0.05)
    async with quotas.spend(caller(), Cost(tokens=50, stream=True)) as spent:
        server.kill()
        async with quotas.spend(caller(), Cost(stream=True)):
            pass
        spent.tokens(10)
    standing = await quotas.standing(caller())
    assert standing.local
    assert all(q.remaining == q.limit for q in standing.quotas if q.unit is not Unit.REQUESTS)


async def test_a_reply_is_found_again_while_the_store_is_away(
    mine: Replica, server: RedisServer
) -> None:
    assert (await mine.replies.claim(KEY, "print", LEASE)).state is State.CLAIMED
    server.kill()
    await mine.replies.finish(KEY, "print", LEASE, b"reply")
    found = await mine.replies.claim(KEY, "print", Lease("another", 60))
    assert (found.state, found.reply) == (State.KEPT, b"reply")


async def test_without_a_store_nothing_is_called_local() -> None:
    """There is nothing that our own buckets stand in for."""
    async with sharing("", dependency=UNTOLD) as shared:
        taken = await shared.buckets.take("acme", [Ask(BUCKET, 1)], LEASE)
    assert not taken.local
    assert shared.up


async def _call_on(mine: Replica, answered: Counter[bool]) -> None:
    while True:
        found = await mine.take(BUCKET, 0)
        assert found.granted
        answered[found.local] += 1
        await asyncio.sleep(0)


def _stand_still(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
