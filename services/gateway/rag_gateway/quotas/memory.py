"""Buckets in this process's memory; they behave exactly like those in Redis."""

import time
from collections.abc import Callable, Sequence

from cachetools import LRUCache

from rag_gateway.leases import Lease
from rag_gateway.quotas.buckets import EPSILON, Bucket, Decision, Request

_Key = tuple[str, str]


class LocalBuckets:
    """Counts for one process, at most `max_buckets`: the least recently used are dropped, so full."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, max_buckets: int = 100_000
    ) -> None:
        self._clock = clock
        # The level of each bucket at its last change, and the time of that change.
        self._levels: LRUCache[_Key, tuple[float, float]] = LRUCache(max_buckets)
        # When the lease of each holder expires.
        self._leases: LRUCache[_Key, dict[str, float]] = LRUCache(max_buckets)

    async def acquire(self, group: str, requests: Sequence[Request], lease: Lease) -> Decision:
        """Acquire all requested units or none; atomic, as the method does not await."""
        now = self._clock()
        levels = [self._level(group, request.bucket, now) for request in requests]
        if any(
            level + EPSILON < request.amount
            for request, level in zip(requests, levels, strict=True)
        ):
            return Decision(False, tuple(levels))
        for request, level in zip(requests, levels, strict=True):
            if request.amount and request.bucket.held:
                self._hold(group, request.bucket, lease, now)
            elif request.amount:
                self._put(group, request.bucket, level - request.amount, now)
        remaining = (
            level - request.amount for request, level in zip(requests, levels, strict=True)
        )
        return Decision(True, tuple(remaining))

    async def settle(
        self, group: str, changes: Sequence[Request], lease: Lease, *, local: bool = False
    ) -> None:
        """Return units or consume more, down to a debt of the capacity; release held units."""
        now = self._clock()
        for bucket, amount in ((change.bucket, change.amount) for change in changes):
            if bucket.held:
                self._leases.get((group, bucket.name), {}).pop(lease.holder, None)
            else:
                level = self._level(group, bucket, now) + amount
                self._put(group, bucket, max(level, -bucket.capacity), now)

    async def renew(
        self, group: str, buckets: Sequence[Bucket], lease: Lease, *, local: bool = False
    ) -> None:
        """Extend the lease by its duration from now."""
        now = self._clock()
        for bucket in buckets:
            self._hold(group, bucket, lease, now)

    def _level(self, group: str, bucket: Bucket, now: float) -> float:
        key = group, bucket.name
        if bucket.held:
            ends = self._leases.get(key, {}).values()
            return bucket.capacity - sum(end > now for end in ends)
        level, at = self._levels.get(key, (bucket.capacity, now))
        return min(bucket.capacity, level + max(0.0, now - at) * bucket.refill)

    def _put(self, group: str, bucket: Bucket, level: float, now: float) -> None:
        key = group, bucket.name
        if level >= bucket.capacity:
            self._levels.pop(key, None)
            return
        self._levels[key] = level, now

    def _hold(self, group: str, bucket: Bucket, lease: Lease, now: float) -> None:
        key = group, bucket.name
        present = self._leases.get(key, {})
        self._leases[key] = {holder: end for holder, end in present.items() if end > now}
        self._leases[key][lease.holder] = now + lease.seconds
