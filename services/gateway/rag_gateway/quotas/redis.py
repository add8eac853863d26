"""Buckets in Redis, shared by all replicas: each operation is one script, which uses Redis's clock."""

from collections.abc import Sequence

from rag_gateway.leases import Lease
from rag_gateway.quotas.buckets import Bucket, Decision, Request
from rag_gateway.redis.circuit import SharedStore
from rag_gateway.redis.scripts import Argument, Script


class RedisBuckets:
    """Counts for all replicas that share the Redis. Each method raises StoreUnavailable.

    A group's keys share a hash tag, so that a cluster keeps them on one node.
    """

    def __init__(self, store: SharedStore, prefix: str) -> None:
        self._store = store
        self._prefix = prefix
        self._take = Script.read(__package__, "take.lua")
        self._settle = Script.read(__package__, "settle.lua")

    async def acquire(self, group: str, requests: Sequence[Request], lease: Lease) -> Decision:
        """Acquire all requested units or none."""
        keys = self._keys(group, [request.bucket for request in requests])
        arguments = _arguments(lease, lease.seconds, requests)
        granted, *levels = await self._store.run(self._take, keys, arguments)
        return Decision(bool(granted), tuple(map(float, levels)))

    async def settle(self, group: str, changes: Sequence[Request], lease: Lease) -> None:
        """Return units or consume more, down to a debt of the capacity; release held units."""
        keys = self._keys(group, [change.bucket for change in changes])
        await self._store.run(self._settle, keys, _arguments(lease, 0, changes))

    async def renew(self, group: str, buckets: Sequence[Bucket], lease: Lease) -> None:
        """Extend the lease by its duration from now."""
        requests = [Request(bucket, 1) for bucket in buckets]
        arguments = _arguments(lease, lease.seconds, requests)
        await self._store.run(self._settle, self._keys(group, buckets), arguments)

    def _keys(self, group: str, buckets: Sequence[Bucket]) -> list[str]:
        return [f"{self._prefix}quota:{{{group}}}:{bucket.name}" for bucket in buckets]


def _arguments(lease: Lease, seconds: float, requests: Sequence[Request]) -> list[Argument]:
    arguments: list[Argument] = [lease.holder, seconds]
    for request in requests:
        refill = "held" if request.bucket.held else request.bucket.refill
        arguments += [request.bucket.capacity, refill, request.amount]
    return arguments
