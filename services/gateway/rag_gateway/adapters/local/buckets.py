"""Buckets in this process's memory, exactly as those in Redis behave."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from rag_gateway.buckets import EPSILON, Ask, Bucket, Lease, Taken

_Key = tuple[str, str]


class LocalBuckets:
    """Counts for one process. Of over `most` buckets, those longest unused are forgotten, so full again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, most: int = 100_000) -> None:
        self._clock = clock
        self._most = most
        # What was left, and when.
        self._levels: OrderedDict[_Key, tuple[float, float]] = OrderedDict()
        # When each holder's lease ends.
        self._leases: OrderedDict[_Key, dict[str, float]] = OrderedDict()

    async def take(self, group: str, asks: Sequence[Ask], lease: Lease) -> Taken:
        """Take everything or nothing: nothing else runs between looking and taking."""
        now = self._clock()
        levels = [self._level(group, ask.bucket, now) for ask in asks]
        if any(level + EPSILON < ask.amount for ask, level in zip(asks, levels, strict=True)):
            return Taken(False, tuple(levels))
        for ask, level in zip(asks, levels, strict=True):
            if ask.amount and ask.bucket.held:
                self._hold(group, ask.bucket, lease, now)
            elif ask.amount:
                self._put(group, ask.bucket, level - ask.amount, now)
        left = (level - ask.amount for ask, level in zip(asks, levels, strict=True))
        return Taken(True, tuple(left))

    async def settle(
        self, group: str, changes: Sequence[Ask], lease: Lease, *, local: bool = False
    ) -> None:
        """Give back or take more, down to a debt of the capacity; let go of what is held."""
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
        """Hold on for the lease's time from now."""
        now = self._clock()
        for bucket in buckets:
            self._hold(group, bucket, lease, now)

    def _level(self, group: str, bucket: Bucket, now: float) -> float:
        key = group, bucket.name
        if bucket.held:
            ends = self._leases.get(key, {}).values()
            return bucket.capacity - sum(end > now for end in ends)
        left, at = self._levels.get(key, (bucket.capacity, now))
        return min(bucket.capacity, left + max(0.0, now - at) * bucket.refill)

    def _put(self, group: str, bucket: Bucket, level: float, now: float) -> None:
        key = group, bucket.name
        if level >= bucket.capacity:
            self._levels.pop(key, None)
            return
        self._levels[key] = level, now
        self._levels.move_to_end(key)
        if len(self._levels) > self._most:
            self._levels.popitem(last=False)

    def _hold(self, group: str, bucket: Bucket, lease: Lease, now: float) -> None:
        key = group, bucket.name
        present = self._leases.get(key, {})
        self._leases[key] = {holder: end for holder, end in present.items() if end > now}
        self._leases[key][lease.holder] = now + lease.seconds
        self._leases.move_to_end(key)
        if len(self._leases) > self._most:
            self._leases.popitem(last=False)
