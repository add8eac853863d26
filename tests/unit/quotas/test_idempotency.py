"""A named call is done once: repeats get its reply, wait for it, or are refused."""

import asyncio
from dataclasses import dataclass, field

import pytest

from rag.gateway.v1.document_service_pb2 import IngestDocumentResponse
from rag_common.context import Principal
from rag_contract import errors
from rag_gateway.idempotency.memory import LocalIdempotencyStore
from rag_gateway.idempotency.service import (
    Claim,
    Codec,
    Idempotency,
    Key,
    Times,
    fingerprint,
)
from rag_gateway.leases import Lease
from tests.support.quotas.stores import caller
from tests.support.waiting import until

KEY = Key("acme", "IngestDocument", "id-1")
CODEC = Codec(IngestDocumentResponse.SerializeToString, IngestDocumentResponse.FromString)
QUICK = Times(poll=0.005, max_wait=60)


@dataclass
class Work:
    """Says how often it was done; waits for `go`, and fails with `error`."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None
    begun: int = 0
    size: int = 0

    async def __call__(self) -> IngestDocumentResponse:
        self.begun += 1
        await self.go.wait()
        if self.error:
            raise self.error
        return IngestDocumentResponse(trace_id=f"trace {self.begun}" + "x" * self.size)


def ready(size: int = 0) -> Work:
    work = Work(size=size)
    work.go.set()
    return work


@pytest.fixture
def once(replies: LocalIdempotencyStore) -> Idempotency:
    return Idempotency(replies, QUICK)


async def started(once: Idempotency, work: Work) -> "asyncio.Task[IngestDocumentResponse]":
    """The call with this work, which has begun."""
    call = asyncio.create_task(once.run(KEY, "print", work, CODEC))
    await until(lambda: work.begun, "the call has begun")
    return call


async def refused(once: Idempotency, work: Work, print_: str = "print") -> errors.RequestIdReused:
    with pytest.raises(errors.RequestIdReused) as raised:
        await once.run(KEY, print_, work, CODEC)
    return raised.value


async def test_a_repeat_gets_the_first_calls_reply(once: Idempotency) -> None:
    work = ready()
    first = await once.run(KEY, "print", work, CODEC)
    assert await once.run(KEY, "print", work, CODEC) == first
    assert first.trace_id == "trace 1"
    assert work.begun == 1


async def test_repeats_that_come_meanwhile_wait_for_the_reply(once: Idempotency) -> None:
    work = Work()
    first = await started(once, work)
    repeats = [asyncio.create_task(once.run(KEY, "print", work, CODEC)) for _ in range(20)]
    await asyncio.sleep(0)
    work.go.set()
    replies = await asyncio.gather(first, *repeats)
    assert {reply.trace_id for reply in replies} == {"trace 1"}


async def test_a_repeat_whose_patience_ends_is_told_to_come_again(
    replies: LocalIdempotencyStore,
) -> None:
    once = Idempotency(replies, Times(poll=0.005, max_wait=0.01))
    work = Work()
    first = await started(once, work)
    error = await refused(once, work)
    assert error.retry_after == 1.0
    work.go.set()
    await first


async def test_another_request_under_the_same_id_is_refused(once: Idempotency) -> None:
    await once.run(KEY, "print", ready(), CODEC)
    error = await refused(once, ready(), "other")
    assert error.retry_after is None


async def test_calls_without_an_id_are_all_done(once: Idempotency) -> None:
    work, nameless = ready(), Key("acme", "IngestDocument", "")
    for _ in range(2):
        await once.run(nameless, "print", work, CODEC)
    assert work.begun == 2


async def test_a_call_that_is_cancelled_frees_the_id(once: Idempotency) -> None:
    work = Work()
    task = await started(once, work)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await once.run(KEY, "print", ready(), CODEC)


async def test_who_waits_for_a_call_that_fails_does_it(once: Idempotency) -> None:
    work = Work(error=errors.DependencyDown("away"))
    first = await started(once, work)
    second = asyncio.create_task(once.run(KEY, "print", ready(), CODEC))
    work.go.set()
    with pytest.raises(errors.Unavailable):
        await first
    assert (await second).trace_id == "trace 1"


async def test_a_secret_reply_is_never_stored(
    once: Idempotency, replies: LocalIdempotencyStore
) -> None:
    work = ready()
    assert (await once.run(KEY, "print", work, None)).trace_id == "trace 1"
    error = await refused(once, work)
    assert error.retry_after is None
    assert work.begun == 1
    assert (await replies.claim(KEY, "print", Lease("thief", 60))).response == b""


async def test_a_reply_that_is_too_large_is_not_stored_and_not_done_again(
    replies: LocalIdempotencyStore,
) -> None:
    once = Idempotency(replies, QUICK, max_bytes=100)
    work = ready(size=100)
    await once.run(KEY, "print", work, CODEC)
    await refused(once, work)
    assert work.begun == 1


async def test_long_work_keeps_its_claim() -> None:
    renewals = _Renewals()
    once = Idempotency(renewals, Times(lease=0.3, poll=0.005, max_wait=0.01))
    work = Work()
    first = asyncio.create_task(once.run(KEY, "print", work, CODEC))
    await until(lambda: renewals.count, "the claim is renewed")
    await refused(once, work)
    work.go.set()
    await first


async def test_a_call_cancelled_while_it_claims_leaves_no_claim() -> None:
    slow = _Slow()
    once = Idempotency(slow, QUICK)
    task = asyncio.create_task(once.run(KEY, "print", ready(), CODEC))
    await slow.called.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    slow.go.set()
    await once.join()
    await once.run(KEY, "other", ready(), CODEC)


def test_a_fingerprint_is_of_the_parts_and_who_asks() -> None:
    kim = caller()
    some = Principal("kim", "acme", frozenset(), collections=frozenset({"a", "b"}))
    prints = [
        fingerprint(kim, b"ab", b"c"),
        fingerprint(kim, b"a", b"bc"),
        fingerprint(kim, b"abc"),
        fingerprint(Principal("lee", "acme", frozenset()), b"ab", b"c"),
        fingerprint(some, b"ab", b"c"),
    ]
    assert len(set(prints)) == len(prints)
    assert fingerprint(caller(credential="key-2"), b"ab", b"c") == prints[0]


class _Renewals(LocalIdempotencyStore):
    """Counts renewals, which hold for long."""

    count = 0

    async def renew(self, key: Key, lease: Lease) -> None:
        self.count += 1
        await super().renew(key, Lease(lease.holder, 60))


class _Slow(LocalIdempotencyStore):
    """Claims when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.called = asyncio.Event()
        self.go = asyncio.Event()

    async def claim(self, key: Key, fingerprint: str, lease: Lease) -> Claim:
        self.called.set()
        await self.go.wait()
        return await super().claim(key, fingerprint, lease)
