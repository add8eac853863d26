"""Buckets in Redis, shared by all replicas: each step is one script and one round trip, by Redis's clock."""

from collections.abc import Sequence

from rag_gateway.adapters.redis.batches import Argument, Script
from rag_gateway.adapters.redis.store import Store
from rag_gateway.buckets import Ask, Bucket, Lease, Taken


class RedisBuckets:
    """Counts for all who share the Redis. Raises StoreDown.

    A group's keys share a hash tag, so that a cluster keeps them on one node.
    """

    def __init__(self, store: Store, prefix: str) -> None:
        self._store = store
        self._prefix = prefix
        self._take = Script.read("take.lua")
        self._settle = Script.read("settle.lua")

    async def take(self, group: str, asks: Sequence[Ask], lease: Lease) -> Taken:
        """Take everything or nothing."""
        keys = self._keys(group, [ask.bucket for ask in asks])
        arguments = _arguments(lease, lease.seconds, asks)
        granted, *levels = await self._store.run(self._take, keys, arguments)
        return Taken(bool(granted), tuple(map(float, levels)))

    async def settle(self, group: str, changes: Sequence[Ask], lease: Lease) -> None:
        """Give back or take more, down to a debt of the capacity; let go of what is held."""
        keys = self._keys(group, [change.bucket for change in changes])
        await self._store.run(self._settle, keys, _arguments(lease, 0, changes))

    async def renew(self, group: str, buckets: Sequence[Bucket], lease: Lease) -> None:
        """Hold on for the lease's time from now."""
        asks = [Ask(bucket, 1) for bucket in buckets]
        arguments = _arguments(lease, lease.seconds, asks)
        await self._store.run(self._settle, self._keys(group, buckets), arguments)

    def _keys(self, group: str, buckets: Sequence[Bucket]) -> list[str]:
        return [f"{self._prefix}quota:{{{group}}}:{bucket.name}" for bucket in buckets]


def _arguments(lease: Lease, seconds: float, asks: Sequence[Ask]) -> list[Argument]:
    arguments: list[Argument] = [lease.holder, seconds]
    for ask in asks:
        refill = "held" if ask.bucket.held else ask.bucket.refill
        arguments += [ask.bucket.capacity, refill, ask.amount]
    return arguments
