"""Whose search begins next: so many are under way at once, and in company nobody has most of them."""

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

# In company a tenant has at most a third of the places, so that whoever comes next finds some free.
_PART = 3
# Somebody who asked this short a while ago will ask again.
_COMPANY_SECONDS = 60.0


class Turns:
    """At most `most` searches at once: a tenant alone has all these places, one in company a third.

    Those that wait take turns by tenant, and within a tenant the first comes first. How many may wait
    is for whoever lets calls in to say.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._held: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[_Place]] = OrderedDict()
        # Who asked last, and when, the latest at the end.
        self._seen: OrderedDict[str, float] = OrderedDict()

    @property
    def most(self) -> int:
        """How many may have their turn at once."""
        return self._most

    @property
    def running(self) -> int:
        """How many have it."""
        return self._held.total()

    @property
    def waiting(self) -> int:
        """How many wait for it."""
        return sum(1 for _ in self._places())

    @property
    def oldest(self) -> float:
        """Seconds that the longest of them has waited."""
        return self._clock() - min((place.since for place in self._places()), default=self._clock())

    @asynccontextmanager
    async def turn(self, tenant: str) -> AsyncIterator[None]:
        """Wait for the tenant's turn, and hold a place inside."""
        self._see(tenant)
        if tenant in self._waiting or not self._fits(tenant):
            await self._wait(tenant)
        else:
            self._held[tenant] += 1
        try:
            yield
        finally:
            self._end(tenant)

    def _places(self) -> "Iterator[_Place]":
        """Those who wait; whoever has gone away is passed over when a place is free, and counts no more."""
        for line in self._waiting.values():
            yield from (place for place in line if not place.given.done())

    def _see(self, tenant: str) -> None:
        now = self._clock()
        self._seen[tenant] = now
        self._seen.move_to_end(tenant)
        while next(iter(self._seen.values())) < now - _COMPANY_SECONDS:
            self._seen.popitem(last=False)

    def _fits(self, tenant: str) -> bool:
        share = self._most if len(self._seen) == 1 else max(1, self._most // _PART)
        return self._held.total() < self._most and self._held[tenant] < share

    async def _wait(self, tenant: str) -> None:
        place = _Place(asyncio.get_running_loop().create_future(), self._clock())
        self._waiting.setdefault(tenant, deque()).append(place)
        try:
            await place.given
        except asyncio.CancelledError:
            # The place may have been given in the same moment; one not given yet is passed over in `_call`.
            if not place.given.cancelled():
                self._end(tenant)
            raise

    def _end(self, tenant: str) -> None:
        self._held[tenant] -= 1
        if not self._held[tenant]:
            del self._held[tenant]
        while self._call():
            pass

    def _call(self) -> bool:
        """Give a place to the first in turn who may have one, who then goes behind the others."""
        tenant = next(filter(self._fits, self._waiting), None)
        if tenant is None:
            return False
        line = self._waiting.pop(tenant)
        place = line.popleft()
        if line:
            self._waiting[tenant] = line
        if not place.given.done():
            self._held[tenant] += 1
            place.given.set_result(None)
        return True


@dataclass(frozen=True, slots=True)
class _Place:
    """Somebody who waits, and since when."""

    given: asyncio.Future[None]
    since: float
