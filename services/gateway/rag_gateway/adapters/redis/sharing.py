"""Everything that replicas share, from the settings that say where."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rag_common.dependency import Dependency
from rag_gateway.adapters.local.buckets import LocalBuckets
from rag_gateway.adapters.local.replies import LocalReplies
from rag_gateway.adapters.redis.buckets import RedisBuckets
from rag_gateway.adapters.redis.connection import Credentials, connected
from rag_gateway.adapters.redis.fallback import SharedBuckets, SharedReplies
from rag_gateway.adapters.redis.replies import RedisReplies
from rag_gateway.adapters.redis.store import Store, watched
from rag_gateway.buckets import Buckets
from rag_gateway.idempotency import Replies


@dataclass(frozen=True, slots=True)
class Shared:
    """Buckets and replies; `store` is None where a replica shares nothing, as on a laptop."""

    buckets: Buckets
    replies: Replies
    store: Store | None

    @property
    def up(self) -> bool:
        """Whether what should be shared is: the gauge `quota_store_up`."""
        return self.store is None or self.store.up

    @property
    def trouble(self) -> str:
        """The class of the error by which it is not; empty where it is."""
        return self.store.trouble if self.store else ""


@asynccontextmanager
async def sharing(
    url: str,
    *,
    dependency: Dependency,
    credentials: Credentials | None = None,
    ca_file: str = "",
    prefix: str = "rag:",
    timeout: float = 0.05,
    retry_seconds: float = 1.0,
) -> AsyncIterator[Shared]:
    """What is in the Redis at the URL; where it is empty, this process's own. Raises SettingsInvalid."""
    buckets, replies = LocalBuckets(), LocalReplies()
    if not url:
        yield Shared(buckets, replies, None)
        return
    async with (
        connected(url, credentials=credentials, ca_file=ca_file) as redis,
        watched(Store(redis, prefix, dependency, timeout=timeout), retry_seconds) as store,
    ):
        yield Shared(
            SharedBuckets(RedisBuckets(store, prefix), buckets),
            SharedReplies(RedisReplies(store, prefix), replies),
            store,
        )
