"""What can be taken and comes back: buckets that refill, units that are held, and who counts them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

# Floating point may leave a bucket this much short of what it should hold.
EPSILON = 1e-6

# A stream ends when it ends: those that wait for its place ask again after so many seconds.
_HELD_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Bucket:
    """At most `capacity` units, of which `refill` come back a second.

    Those of a `held` bucket come back when their lease is let go or runs out. `name` is the
    bucket's own in its group.
    """

    name: str
    capacity: float
    refill: float = 0.0
    held: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """So many units of a bucket; of a held one, one."""

    bucket: Bucket
    amount: float


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds, and for how many seconds unless the lease is renewed."""

    holder: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Taken:
    """Whether everything was granted, and the units left in each bucket, below 0 while it is in debt.

    `local` says that this replica's own buckets were asked because the shared ones do not answer.
    """

    granted: bool
    levels: tuple[float, ...]
    local: bool = False


class Buckets(Protocol):
    """Counts what is taken from the buckets of one group, each time in one step.

    Buckets are made full by their first use. Nothing here raises because a store is away.
    """

    async def take(self, group: str, asks: Sequence[Ask], lease: Lease) -> Taken:
        """Take everything or nothing. Amounts of 0 take nothing and tell the levels."""
        ...

    async def settle(
        self, group: str, changes: Sequence[Ask], lease: Lease, *, local: bool
    ) -> None:
        """Give back the amounts, take more where they are negative, and let go of what is held.

        A bucket goes into debt by its capacity at most. `local` is what the taking said.
        """
        ...

    async def renew(
        self, group: str, buckets: Sequence[Bucket], lease: Lease, *, local: bool
    ) -> None:
        """Hold on to held buckets for the lease's time from now."""
        ...


def wait(ask: Ask, level: float) -> float:
    """Seconds until the bucket has enough, 0 where it has; infinite where it never will."""
    short = ask.amount - level
    if short <= EPSILON:
        return 0.0
    if ask.bucket.held:
        return _HELD_SECONDS
    if ask.amount > ask.bucket.capacity or not ask.bucket.refill:
        return math.inf
    return short / ask.bucket.refill


def reset(bucket: Bucket, level: float) -> float:
    """Seconds until the bucket is full if nothing more is taken; 0 where time does not fill it."""
    return max(0.0, bucket.capacity - level) / bucket.refill if bucket.refill else 0.0
