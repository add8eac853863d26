"""Who may begin a call: tenant and credential, calls and streams, and what those refused are told."""

from collections.abc import Sequence

from rag_contract import errors
from rag_gateway.leases import Lease
from rag_gateway.quotas.buckets import Bucket
from rag_gateway.quotas.memory import LocalBuckets
from rag_gateway.quotas.service import Cost, Quotas
from rag_gateway.quotas.tiers import Subject, Tier, Unit
from tests.support.clock import Clock
from tests.support.quotas.spending import FREE, SEARCH, left, quotas, refusal, use
from tests.support.quotas.stores import OneTier, caller, limits
from tests.support.waiting import until


async def test_calls_over_the_tenants_rate_are_refused_with_the_time_to_wait(clock: Clock) -> None:
    mine = quotas(clock, limits(requests=(2, 0.5)))
    await use(mine)
    await use(mine, principal=caller(credential="key-2"))
    error = await refusal(mine)
    assert type(error) is errors.RateLimited
    assert error.metadata == {"subject": "tenant:acme", "unit": "requests", "limit": "2"}
    assert error.retry_after == 2.0
    await use(mine, principal=caller("other"))
    clock.now += error.retry_after
    await use(mine)


async def test_a_credential_over_its_rate_leaves_the_others_alone(clock: Clock) -> None:
    mine = quotas(clock, limits(requests=(10, 1)), limits(requests=(1, 1)))
    await use(mine)
    error = await refusal(mine)
    assert error.metadata["subject"] == "credential:key-1"
    await use(mine, principal=caller(credential="key-2"))
    assert await left(mine, Unit.REQUESTS) == 8


async def test_a_token_without_an_id_is_under_its_tenants_limits(clock: Clock) -> None:
    mine = quotas(clock, limits(requests=(1, 1)), limits(requests=(1, 1)))
    nameless = caller(credential="")
    await use(mine, principal=nameless)
    assert (await refusal(mine, principal=nameless)).metadata["subject"] == "tenant:acme"
    assert [quota.subject for quota in (await mine.status(nameless)).quotas] == [Subject.TENANT]


async def test_the_next_token_of_a_credential_may_claim_another_tier(clock: Clock) -> None:
    class Claimed:
        def tier_for(self, _tenant: str, claimed: str) -> Tier:
            return Tier(FREE, limits(requests=(2 if claimed == "gold" else 1, 1)))

    mine = Quotas(Claimed(), LocalBuckets(clock))
    await use(mine)
    await refusal(mine)
    clock.now += 5
    for _ in range(2):
        await use(mine, principal=caller(tier="gold"))


async def test_credentials_of_any_text_have_buckets_of_their_own(clock: Clock) -> None:
    mine = quotas(clock, credential=limits(requests=(1, 1)))
    for credential in ("a}{b", "a}{c", "한글", "x" * 5000, "x" * 5001):
        await use(mine, principal=caller(credential=credential))


async def test_streams_over_the_limit_are_refused_until_one_ends(clock: Clock) -> None:
    mine = quotas(clock, credential=limits(streams=1))
    stream = Cost(stream=True)
    async with mine.reserve(caller(), stream):
        error = await refusal(mine, stream)
        await use(mine, SEARCH)
    assert error.reason == "CONCURRENCY_LIMIT"
    assert error.metadata["unit"] == "concurrent_streams"
    assert error.metadata["limit"] == "1"
    assert error.retry_after
    await use(mine, stream)


async def test_a_long_stream_keeps_its_place(clock: Clock) -> None:
    """The lease is renewed although the clock has passed its end many times."""
    buckets = _Renewals(clock)
    mine = Quotas(OneTier(Tier(limits(streams=1), FREE)), buckets, lease_seconds=0.03)
    async with mine.reserve(caller(), Cost(stream=True)):
        await until(lambda: buckets.renewals >= 3, "the lease is renewed")
        assert await left(mine, Unit.CONCURRENT_STREAMS) == 0
    assert await left(mine, Unit.CONCURRENT_STREAMS) == 1


async def test_a_refusal_names_the_limit_that_takes_longest(clock: Clock) -> None:
    mine = quotas(clock, limits(requests=(1, 1), tokens=(100, 1)), limits(requests=(1, 0.1)))
    await use(mine, Cost(tokens=5))
    error = await refusal(mine, Cost(tokens=100))
    assert (error.metadata["subject"], error.metadata["unit"]) == ("credential:key-1", "requests")
    assert error.retry_after == 10.0


async def test_a_refused_call_takes_nothing(clock: Clock) -> None:
    mine = quotas(clock, limits(requests=(5, 1), tokens=(100, 1), streams=1))
    async with mine.reserve(caller(), Cost(stream=True)):
        await refusal(mine, Cost(tokens=10, stream=True))
    assert await left(mine, Unit.REQUESTS) == 4
    assert await left(mine, Unit.TOKENS) == 100


async def test_the_standing_tells_every_limit(clock: Clock) -> None:
    mine = quotas(clock, limits((10, 2), (100, 5), 3), limits((4, 1)))
    async with mine.reserve(caller(), Cost(tokens=50, stream=True)):
        standing = await mine.status(caller())
    reported = [(q.subject.value, q.unit.value, q.limit, q.remaining, q.refill, q.reset)
            for q in standing.quotas]  # fmt: skip
    assert reported == [
        ("tenant", "requests", 10, 9, 2, 0.5),
        ("tenant", "tokens", 100, 50, 5, 10.0),
        ("tenant", "concurrent_streams", 3, 2, 0, 0),
        ("credential", "requests", 4, 3, 1, 1.0),
    ]
    assert not standing.local


async def test_the_tier_of_the_caller_counts(clock: Clock) -> None:
    tiers = OneTier(Tier(limits((1, 1)), FREE))
    await use(Quotas(tiers, LocalBuckets(clock)), principal=caller(tier="gold"))
    assert tiers.asked == ["gold"]


class _Renewals(LocalBuckets):
    """Counts renewals, and lets more time pass at each than a lease lasts."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._time = clock
        self.renewals = 0

    async def renew(
        self, group: str, buckets: Sequence[Bucket], lease: Lease, *, local: bool = False
    ) -> None:
        self.renewals += 1
        self._time.now += 1
        await super().renew(group, buckets, lease, local=local)
