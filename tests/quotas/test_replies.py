"""The contract of who does what and what came of it: local, in Redis, and a replica's two layers."""

import pytest
from redis.asyncio import Redis

from rag_gateway.adapters.local.replies import LocalReplies
from rag_gateway.adapters.redis.replies import RedisReplies
from rag_gateway.adapters.redis.store import Store
from rag_gateway.buckets import Lease
from rag_gateway.idempotency import Claim, Key, Replies, State
from tests.quotas.stores import PATIENT, UNTOLD, Clock, replica
from tests.redis import RedisServer
from tests.waiting import until

KEY = Key("acme", "/rag.gateway.v1.DocumentService/IngestDocument", "id-1")
ONE, TWO = Lease("one", 60), Lease("two", 60)
CLAIMED = Claim(State.CLAIMED)


async def test_one_claims_and_the_next_sees_it_run(replies: Replies) -> None:
    assert await replies.claim(KEY, "print", ONE) == CLAIMED
    assert (await replies.claim(KEY, "print", TWO)).state is State.RUNNING


async def test_another_request_is_told_apart_while_it_runs_and_after(replies: Replies) -> None:
    await replies.claim(KEY, "print", ONE)
    assert (await replies.claim(KEY, "other", TWO)).state is State.OTHER
    await replies.finish(KEY, "print", ONE, b"reply")
    assert await replies.claim(KEY, "other", TWO) == Claim(State.OTHER)


@pytest.mark.parametrize("reply", [b"reply", b"", b"\x00\xff\r\n" * 1000])
async def test_a_reply_is_kept_byte_for_byte(replies: Replies, reply: bytes) -> None:
    await replies.claim(KEY, "print", ONE)
    await replies.finish(KEY, "print", ONE, reply)
    assert await replies.claim(KEY, "print", TWO) == Claim(State.KEPT, reply)
    assert await replies.claim(KEY, "print", TWO) == Claim(State.KEPT, reply)


async def test_that_it_is_done_is_known_without_a_reply(replies: Replies) -> None:
    await replies.claim(KEY, "print", ONE)
    await replies.finish(KEY, "print", ONE, None)
    assert await replies.claim(KEY, "print", TWO) == Claim(State.DONE)


async def test_a_freed_key_can_be_claimed(replies: Replies) -> None:
    await replies.claim(KEY, "print", ONE)
    await replies.free(KEY, ONE)
    assert await replies.claim(KEY, "other", TWO) == CLAIMED


async def test_a_stranger_frees_renews_and_finishes_nothing(replies: Replies) -> None:
    await replies.claim(KEY, "print", ONE)
    await replies.free(KEY, TWO)
    await replies.renew(KEY, Lease("two", 0.001))
    await replies.finish(KEY, "print", TWO, b"stolen")
    assert (await replies.claim(KEY, "print", TWO)).state is State.RUNNING


async def test_the_claim_of_a_crashed_holder_ends(replies: Replies) -> None:
    await replies.claim(KEY, "print", Lease("crashed", 0.05))

    async def claimed() -> bool:
        return await replies.claim(KEY, "print", TWO) == CLAIMED

    await until(claimed, "the claim has ended")


async def test_a_renewed_claim_goes_on(replies: Replies) -> None:
    other = Key("acme", KEY.method, "id-2")
    for key in (KEY, other):
        await replies.claim(key, "print", Lease("one", 1.0))
    await replies.renew(KEY, ONE)

    async def ended() -> bool:
        return await replies.claim(other, "print", TWO) == CLAIMED

    await until(ended, "the claim that was not renewed has ended")
    assert (await replies.claim(KEY, "print", TWO)).state is State.RUNNING


async def test_a_kept_reply_goes_after_its_time(replies: Replies) -> None:
    await replies.claim(KEY, "print", ONE)
    await replies.finish(KEY, "print", Lease("one", 0.02), b"reply")

    async def claimed() -> bool:
        return await replies.claim(KEY, "print", TWO) == CLAIMED

    await until(claimed, "the reply is forgotten")


async def test_work_that_outlasted_its_claim_is_kept_where_nobody_else_has_begun(
    replies: Replies,
) -> None:
    await replies.finish(KEY, "print", ONE, b"reply")
    assert await replies.claim(KEY, "print", TWO) == Claim(State.KEPT, b"reply")


@pytest.mark.parametrize(
    "other",
    [
        Key("other", KEY.method, KEY.request_id),
        Key("acme", "/rag.gateway.v1.DocumentService/DeleteDocument", KEY.request_id),
        Key("acme", KEY.method, "id-2"),
        Key("acme", KEY.method, "id-1:" + "한글\x00 {}" * 1000),
    ],
)
async def test_another_tenant_method_or_id_gets_nothing(replies: Replies, other: Key) -> None:
    await replies.claim(KEY, "print", ONE)
    await replies.finish(KEY, "print", ONE, b"reply")
    assert await replies.claim(other, "print", TWO) == CLAIMED
    await replies.free(other, TWO)
    assert (await replies.claim(KEY, "print", TWO)).reply == b"reply"


async def test_replicas_know_of_each_others_calls(common_server: RedisServer) -> None:
    key = Key("acme", "method", "two replicas")
    async with replica(common_server.url) as one, replica(common_server.url) as two:
        await one.replies.claim(key, "print", ONE)
        assert (await two.replies.claim(key, "print", TWO)).state is State.RUNNING
        await one.replies.finish(key, "print", ONE, b"reply")
        assert await two.replies.claim(key, "print", Lease("three", 60)) == Claim(
            State.KEPT, b"reply"
        )


async def test_in_redis_nothing_is_kept_for_good(redis: Redis) -> None:
    replies = RedisReplies(Store(redis, "rag:", UNTOLD, timeout=PATIENT), "rag:")
    await replies.claim(KEY, "print", Lease("one", 30))
    (name,) = await redis.keys()
    assert 25_000 < await redis.pttl(name) <= 30_000
    await replies.finish(KEY, "print", Lease("one", 600), b"reply")
    assert 590_000 < await redis.pttl(name) <= 600_000


async def test_memory_keeps_so_many_calls(clock: Clock) -> None:
    replies = LocalReplies(clock, most=2)
    keys = [Key("acme", "method", str(n)) for n in range(3)]
    for key in keys:
        await replies.claim(key, "print", ONE)
    assert await replies.claim(keys[0], "print", TWO) == CLAIMED
    assert (await replies.claim(keys[2], "print", TWO)).state is State.RUNNING


async def test_memory_keeps_so_many_bytes(clock: Clock) -> None:
    replies = LocalReplies(clock, most_bytes=100)
    keys = [Key("acme", "method", str(n)) for n in range(3)]
    for key in keys:
        await replies.claim(key, "print", ONE)
        await replies.finish(key, "print", ONE, b"x" * 40)
    assert await replies.claim(keys[0], "print", TWO) == CLAIMED
    assert (await replies.claim(keys[1], "print", TWO)).state is State.KEPT
