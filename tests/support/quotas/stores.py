"""What the tests of quotas share: a clock that is set by hand, limits with round numbers, callers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from rag_common.context import Principal
from rag_common.observability.dependency import database
from rag_common.observability.metrics import Metrics
from rag_gateway.idempotency.service import IdempotencyStore
from rag_gateway.idempotency.wiring import build_idempotency_store
from rag_gateway.leases import Lease
from rag_gateway.quotas.buckets import Bucket, Buckets, Decision, Request
from rag_gateway.quotas.tiers import Limits, Rate, Tier
from rag_gateway.quotas.wiring import build_buckets
from rag_gateway.redis.circuit import SharedStore
from rag_gateway.redis.connection import Credentials
from rag_gateway.redis.wiring import open_store

# Longer than any machine keeps a test waiting: where the time limit is not what is tested.
PATIENT = 60.0

LEASE = Lease("holder", 60.0)

# Where what is told of calls to Redis is not what is tested.
UNTOLD = database(Metrics().dependencies, "redis")


@dataclass
class OneTier:
    """The same limits for everyone."""

    limits: Tier
    asked: list[str] = field(default_factory=list)

    def tier_for(self, tenant: str, named: str) -> Tier:
        self.asked.append(named)
        return self.limits


@dataclass(frozen=True)
class Replica:
    """What one gateway has of a Redis."""

    store: SharedStore
    buckets: Buckets
    replies: IdempotencyStore

    async def acquire(self, bucket: Bucket, amount: float = 1, group: str = "acme") -> Decision:
        return await self.buckets.acquire(group, [Request(bucket, amount)], LEASE)


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
    async with open_store(
        url,
        UNTOLD,
        credentials=credentials,
        ca_file=ca_file,
        timeout=timeout,
        retry_seconds=retry_seconds,
    ) as store:
        yield Replica(store, build_buckets(store), build_idempotency_store(store))


def caller(tenant: str = "acme", credential: str = "key-1", tier: str = "") -> Principal:
    return Principal("kim", tenant, frozenset(), credential=credential, tier=tier)


def limits(
    requests: tuple[int, float] | None = None,
    tokens: tuple[int, float] | None = None,
    streams: int | None = None,
) -> Limits:
    return Limits(requests and Rate(*requests), tokens and Rate(*tokens), streams)
