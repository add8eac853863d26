"""Token buckets and concurrency slots, and the interface of the stores that count them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rag_gateway.leases import Lease

# Tolerance for rounding errors in a bucket's level.
EPSILON = 1e-6

# When a stream will end is unknown: callers that wait for its slot retry after this many seconds.
_SLOT_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of at most `capacity` units, refilled with `refill` units a second.

    The units of a `held` bucket are not refilled: they are held by leases, and return when the lease
    is released or expires. `name` is unique within the bucket's group.
    """

    name: str
    capacity: float
    refill: float = 0.0
    held: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """A request for `amount` units of a bucket; 1 for a held bucket."""

    bucket: Bucket
    amount: float


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether all requests were granted, and the level of each bucket, below 0 while it is in debt.

    `local` means that this replica's own buckets decided, because the shared ones are unavailable.
    """

    granted: bool
    levels: tuple[float, ...]
    local: bool = False


class Buckets(Protocol):
    """Counts the units of buckets; each operation is atomic for the buckets of one group.

    A bucket starts full. No method raises because a store is unavailable.
    """

    async def acquire(self, group: str, requests: Sequence[Request], lease: Lease) -> Decision:
        """Acquire all requested units or none. An amount of 0 only reads the level."""
        ...

    async def settle(
        self, group: str, changes: Sequence[Request], lease: Lease, *, local: bool
    ) -> None:
        """Return the amounts, or consume more if they are negative, and release held units.

        A bucket's debt is at most its capacity. `local` is the value of the Decision.
        """
        ...

    async def renew(
        self, group: str, buckets: Sequence[Bucket], lease: Lease, *, local: bool
    ) -> None:
        """Extend the lease on held units by its duration from now."""
        ...


def wait(request: Request, level: float) -> float:
    """Seconds until the bucket holds the requested amount; 0 if it does, infinite if it never will."""
    missing = request.amount - level
    if missing <= EPSILON:
        return 0.0
    if request.bucket.held:
        return _SLOT_RETRY_SECONDS
    if request.amount > request.bucket.capacity or not request.bucket.refill:
        return math.inf
    return missing / request.bucket.refill


def reset(bucket: Bucket, level: float) -> float:
    """Seconds until the bucket is full if nothing more is consumed; 0 if it is not refilled."""
    return max(0.0, bucket.capacity - level) / bucket.refill if bucket.refill else 0.0
