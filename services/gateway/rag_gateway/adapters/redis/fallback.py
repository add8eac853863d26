"""What is shared while its store answers, and this replica's own where it does not."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from rag_gateway.adapters.local.buckets import LocalBuckets
from rag_gateway.adapters.local.replies import LocalReplies
from rag_gateway.adapters.redis.buckets import RedisBuckets
from rag_gateway.adapters.redis.replies import RedisReplies
from rag_gateway.adapters.redis.store import StoreDown
from rag_gateway.buckets import Ask, Bucket, Lease, Taken
from rag_gateway.idempotency import Claim, Key, State


class SharedBuckets:
    """What was taken from one kind of bucket is settled with the same; where that is away, not at all.

    The store's buckets refill by themselves and its leases run out, so what is lost mends itself.
    """

    def __init__(self, shared: RedisBuckets, local: LocalBuckets) -> None:
        self._shared = shared
        self._local = local

    async def take(self, group: str, asks: Sequence[Ask], lease: Lease) -> Taken:
        """Take everything or nothing, from the shared buckets or else from our own."""
        try:
            return await self._shared.take(group, asks, lease)
        except StoreDown:
            return replace(await self._local.take(group, asks, lease), local=True)

    async def settle(
        self, group: str, changes: Sequence[Ask], lease: Lease, *, local: bool
    ) -> None:
        """Settle where it was taken."""
        if local:
            await self._local.settle(group, changes, lease)
        else:
            with suppress(StoreDown):
                await self._shared.settle(group, changes, lease)

    async def renew(
        self, group: str, buckets: Sequence[Bucket], lease: Lease, *, local: bool
    ) -> None:
        """Hold on where it is held."""
        if local:
            await self._local.renew(group, buckets, lease)
        else:
            with suppress(StoreDown):
                await self._shared.renew(group, buckets, lease)


class SharedReplies:
    """Asks this replica's memory first, then the store: without it, a replica still does nothing twice."""

    def __init__(self, shared: RedisReplies, local: LocalReplies) -> None:
        self._shared = shared
        self._local = local

    async def claim(self, key: Key, fingerprint: str, lease: Lease) -> Claim:
        """Claim the key here and there."""
        own = await self._local.claim(key, fingerprint, lease)
        if own.state is not State.CLAIMED:
            return own
        try:
            found = await self._shared.claim(key, fingerprint, lease)
        except StoreDown:
            return own
        if found.state is not State.CLAIMED:
            await self._local.free(key, lease)
        return found

    async def renew(self, key: Key, lease: Lease) -> None:
        """Go on holding the key here and there."""
        await self._local.renew(key, lease)
        with suppress(StoreDown):
            await self._shared.renew(key, lease)

    async def finish(self, key: Key, fingerprint: str, lease: Lease, reply: bytes | None) -> None:
        """Note here and there that it is done."""
        await self._local.finish(key, fingerprint, lease, reply)
        with suppress(StoreDown):
            await self._shared.finish(key, fingerprint, lease, reply)

    async def free(self, key: Key, lease: Lease) -> None:
        """Give up the key here and there."""
        await self._local.free(key, lease)
        with suppress(StoreDown):
            await self._shared.free(key, lease)
