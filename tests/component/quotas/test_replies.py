"""The contract of who does what and what came of it: local, in Redis, and a replica's two layers."""

import pytest
from redis.asyncio import Redis

from rag_gateway.idempotency.memory import LocalIdempotencyStore
from rag_gateway.idempotency.redis import RedisIdempotencyStore
from rag_gateway.idempotency.service import Claim, IdempotencyStore, Key, State
from rag_gateway.leases import Lease
from rag_gateway.redis.circuit import SharedStore
from tests.support.clock import Clock
from tests.support.quotas.stores import PATIENT, UNTOLD, replica
from tests.support.redis import RedisServer
from tests.support.waiting import until

KEY = Key("acme", "/rag.gateway.v1.DocumentService/IngestDocument", "id-1")
ONE, TWO = Lease("one", 60), Lease("two", 60)
CLAIMED = Claim(State.CLAIMED)


async def test_one_claims_and_the_next_sees_it_run_and_another_request_is_refused(
    replies: IdempotencyStore,
) -> None:
    assert await replies.claim(KEY, "print", ONE) == CLAIMED
    assert (await replies.claim(KEY, "print", TWO)).state is State.RUNNING
    assert (await replies.claim(KEY, "other", TWO)).state is State.OTHER
    await replies.finish(KEY, "print", ONE, b"reply")
    assert await replies.claim(KEY, "other", TWO) == Claim(State.OTHER)


@pytest.mark.parametrize("reply", [b"reply", b"", b"\x00\xff\r\n" * 1000])
async def test_a_reply_is_kept_byte_for_byte(replies: IdempotencyStore, reply: bytes) -> None:
    await replies.claim(KEY, "print", ONE)
    await replies.finish(KEY, "print", ONE, reply)
    assert await replies.claim(KEY, "print", TWO) == Claim(State.STORED, reply)
    assert await replies.claim(KEY, "print", TWO) == Claim(State.STORED, reply)


async def test_that_it_is_done_is_known_without_a_reply(replies: IdempotencyStore) -> None:
    await replies.claim(KEY, "print", ONE)
    await replies.finish(KEY, "print", ONE, None)
    assert await replies.claim(KEY, "print", TWO) == Claim(State.DONE)


async def test_a_freed_key_can_be_claimed(replies: IdempotencyStore) -> None:
    await replies.claim(KEY, "print", ONE)
    await replies.release(KEY, ONE)
    assert await replies.claim(KEY, "other", TWO) == CLAIMED


async def test_a_stranger_frees_renews_and_finishes_nothing(replies: IdempotencyStore) -> None:
    await replies.claim(KEY, "print", ONE)
    await replies.release(KEY, TWO)
    await replies.renew(KEY, Lease("two", 0.001))
    await replies.finish(KEY, "print", TWO, b"stolen")
    assert (await replies.claim(KEY, "print", TWO)).state is State.RUNNING


async def test_the_claim_of_a_crashed_holder_ends_and_a_renewed_one_goes_on(
    replies: IdempotencyStore,
) -> None:
    crashed = Key("acme", KEY.method, "id-2")
    for key in (KEY, crashed):
        await replies.claim(key, "print", Lease("one", 0.5))
    await replies.renew(KEY, ONE)

    async def ended() -> bool:
        return await replies.claim(crashed, "print", TWO) == CLAIMED

    await until(ended, "the claim that was not renewed has ended")
    assert (await replies.claim(KEY, "print", TWO)).state is State.RUNNING


async def test_a_kept_reply_goes_after_its_time(replies: IdempotencyStore) -> None:
    await replies.claim(KEY, "print", ONE)
    await replies.finish(KEY, "print", Lease("one", 0.02), b"reply")

    async def claimed() -> bool:
        return await replies.claim(KEY, "print", TWO) == CLAIMED

    await until(claimed, "the reply is forgotten")


async def test_work_that_outlasted_its_claim_is_kept_where_nobody_else_has_begun(
    replies: IdempotencyStore,
) -> None:
    await replies.finish(KEY, "print", ONE, b"reply")
    assert await replies.claim(KEY, "print", TWO) == Claim(State.STORED, b"reply")


@pytest.mark.parametrize(
    "other",
    [
        Key("other", KEY.method, KEY.request_id),
        Key("acme", "/rag.gateway.v1.DocumentService/DeleteDocument", KEY.request_id),
        Key("acme", KEY.method, "id-2"),
        Key("acme", KEY.method, "id-1:" + "한글\x00 {}" * 1000),
    ],
)
async def test_another_tenant_method_or_id_gets_nothing(
    replies: IdempotencyStore, other: Key
) -> None:
    await replies.claim(KEY, "print", ONE)
    await replies.finish(KEY, "print", ONE, b"reply")
    assert await replies.claim(other, "print", TWO) == CLAIMED
    await replies.release(other, TWO)
    assert (await replies.claim(KEY, "print", TWO)).response == b"reply"


async def test_replicas_know_of_each_others_calls(common_server: RedisServer) -> None:
    key = Key("acme", "method", "two replicas")
    async with replica(common_server.url) as one, replica(common_server.url) as two:
        await one.replies.claim(key, "print", ONE)
        assert (await two.replies.claim(key, "print", TWO)).state is State.RUNNING
        await one.replies.finish(key, "print", ONE, b"reply")
        assert await two.replies.claim(key, "print", Lease("three", 60)) == Claim(
            State.STORED, b"reply"
        )


async def test_in_redis_nothing_is_kept_for_good(redis: Redis) -> None:
    replies = RedisIdempotencyStore(SharedStore(redis, "rag:", UNTOLD, timeout=PATIENT), "rag:")
    await replies.claim(KEY, "print", Lease("one", 30))
    (name,) = await redis.keys()
    assert 25_000 < await redis.pttl(name) <= 30_000
    await replies.finish(KEY, "print", Lease("one", 600), b"reply")
    assert 590_000 < await redis.pttl(name) <= 600_000


async def test_memory_keeps_so_many_calls(clock: Clock) -> None:
    replies = LocalIdempotencyStore(clock, max_entries=2)
    keys = [Key("acme", "method", str(n)) for n in range(3)]
    for key in keys:
        await replies.claim(key, "print", ONE)
    assert await replies.claim(keys[0], "print", TWO) == CLAIMED
    assert (await replies.claim(keys[2], "print", TWO)).state is State.RUNNING


async def test_memory_keeps_so_many_bytes(clock: Clock) -> None:
    replies = LocalIdempotencyStore(clock, max_bytes=100)
    keys = [Key("acme", "method", str(n)) for n in range(3)]
    for key in keys:
        await replies.claim(key, "print", ONE)
        await replies.finish(key, "print", ONE, b"x" * 40)
    assert await replies.claim(keys[0], "print", TWO) == CLAIMED
    assert (await replies.claim(keys[1], "print", TWO)).state is State.STORED
