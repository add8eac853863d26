"""One Redis for all tests, and each store that the contracts are for."""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from rag_gateway.idempotency.memory import LocalIdempotencyStore
from rag_gateway.idempotency.redis import RedisIdempotencyStore
from rag_gateway.idempotency.service import IdempotencyStore
from rag_gateway.idempotency.wiring import SharedIdempotencyStore
from rag_gateway.quotas.buckets import Buckets
from rag_gateway.quotas.memory import LocalBuckets
from rag_gateway.quotas.redis import RedisBuckets
from rag_gateway.quotas.wiring import SharedBuckets
from rag_gateway.redis.circuit import SharedStore
from rag_gateway.redis.connection import connected
from tests.support.clock import Clock
from tests.support.quotas.stores import PATIENT, UNTOLD
from tests.support.redis import RedisServer, redis_server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def common_server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
async def redis(common_server: RedisServer) -> AsyncIterator[Redis]:
    """A client of the common server, which is emptied before."""
    async with connected(common_server.url) as client:
        await client.flushall()
        yield client


@pytest.fixture(params=["local", "redis"])
def buckets(request: pytest.FixtureRequest) -> Buckets:
    """The buckets that keep the contract, one kind after the other."""
    if request.param == "local":
        return LocalBuckets()
    client: Redis = request.getfixturevalue("redis")
    store = SharedStore(client, "test:", UNTOLD, timeout=PATIENT)
    return SharedBuckets(RedisBuckets(store, "test:"), LocalBuckets())


@pytest.fixture(params=["local", "redis", "one of two replicas"])
def replies(request: pytest.FixtureRequest) -> IdempotencyStore:
    """The keepers of replies that keep the contract, one kind after the other."""
    if request.param == "local":
        return LocalIdempotencyStore()
    client: Redis = request.getfixturevalue("redis")
    shared = RedisIdempotencyStore(SharedStore(client, "test:", UNTOLD, timeout=PATIENT), "test:")
    return (
        shared
        if request.param == "redis"
        else SharedIdempotencyStore(shared, LocalIdempotencyStore())
    )
