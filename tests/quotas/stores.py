"""What the tests of quotas share: a clock that is set by hand, limits with round numbers, callers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from rag_common.context import Principal
from rag_common.dependency import database
from rag_common.metrics import Metrics
from rag_gateway.adapters.redis.connection import Credentials
from rag_gateway.adapters.redis.sharing import sharing
from rag_gateway.adapters.redis.store import Store
from rag_gateway.buckets import Ask, Bucket, Buckets, Lease, Taken
from rag_gateway.idempotency import Replies
from rag_gateway.tiers import Limits, Rate, Tier

# Longer than any machine keeps a test waiting: where the time limit is not what is tested.
PATIENT = 60.0

LEASE = Lease("holder", 60.0)

# Where what is told of calls to Redis is not what is tested.
UNTOLD = database(Metrics().dependencies, "redis")


@dataclass
class Clock:
    """Seconds, as a test has them."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class OneTier:
    """The same limits for everyone."""

    limits: Tier
    asked: list[str] = field(default_factory=list)

    def of(self, tenant: str, named: str) -> Tier:
        self.asked.append(named)
        return self.limits


@dataclass(frozen=True)
class Replica:
    """What one gateway has of a Redis."""

    store: Store
    buckets: Buckets
    replies: Replies

    async def take(self, bucket: Bucket, amount: float = 1, group: str = "acme") -> Taken:
        return await self.buckets.take(group, [Ask(bucket, amount)], LEASE)


@asynccontextmanager
async def replica(
    url: str,
    *,
    timeout: float = PATIENT,
    credentials: Credentials | None = None,
    ca_file: str = "",
    retry_seconds: float = 0.02,
) -> AsyncIterator[Replica]:
    """A gateway's connection with all that uses it."""
    async with sharing(
        url,
        dependency=UNTOLD,
        credentials=credentials,
        ca_file=ca_file,
        timeout=timeout,
        retry_seconds=retry_seconds,
    ) as shared:
        assert shared.store
        yield Replica(shared.store, shared.buckets, shared.replies)


def caller(tenant: str = "acme", credential: str = "key-1", tier: str = "") -> Principal:
    return Principal("kim", tenant, frozenset(), credential=credential, tier=tier)


def limits(
    requests: tuple[int, float] | None = None,
    tokens: tuple[int, float] | None = None,
    streams: int | None = None,
) -> Limits:
    return Limits(requests and Rate(*requests), tokens and Rate(*tokens), streams)
