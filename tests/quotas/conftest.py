"""One Redis for all tests, and each store that the contracts are for."""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from rag_gateway.adapters.local.buckets import LocalBuckets
from rag_gateway.adapters.local.replies import LocalReplies
from rag_gateway.adapters.redis.buckets import RedisBuckets
from rag_gateway.adapters.redis.connection import connected
from rag_gateway.adapters.redis.fallback import SharedBuckets, SharedReplies
from rag_gateway.adapters.redis.replies import RedisReplies
from rag_gateway.adapters.redis.store import Store
from rag_gateway.buckets import Buckets
from rag_gateway.idempotency import Replies
from tests.quotas.stores import PATIENT, UNTOLD, Clock
from tests.redis import RedisServer, redis_server


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
    store = Store(client, "test:", UNTOLD, timeout=PATIENT)
    return SharedBuckets(RedisBuckets(store, "test:"), LocalBuckets())


@pytest.fixture(params=["local", "redis", "one of two replicas"])
def replies(request: pytest.FixtureRequest) -> Replies:
    """The keepers of replies that keep the contract, one kind after the other."""
    if request.param == "local":
        return LocalReplies()
    client: Redis = request.getfixturevalue("redis")
    shared = RedisReplies(Store(client, "test:", UNTOLD, timeout=PATIENT), "test:")
    return shared if request.param == "redis" else SharedReplies(shared, LocalReplies())
