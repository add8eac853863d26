"""A semaphore for concurrent searches that is fair across tenants."""

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

# While several tenants are active each holds at most a third of the slots, so that a newcomer finds free ones.
_SHARE = 3
# A tenant counts as active for this long after its last request.
_ACTIVE_SECONDS = 60.0


class FairSemaphore:
    """At most `capacity` searches at once: the only active tenant may use all slots, otherwise each a third.

    Waiting tenants are served in turn (round robin), and the requests of one tenant first come, first
    served. The number of waiting requests is not bounded here; admission control bounds it.
    """

    def __init__(self, capacity: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = capacity
        self._clock = clock
        self._held: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[_Waiter]] = OrderedDict()
        # When each active tenant made its last request, the latest at the end.
        self._active: OrderedDict[str, float] = OrderedDict()

    @property
    def capacity(self) -> int:
        """The number of slots."""
        return self._capacity

    @property
    def running(self) -> int:
        """The number of slots in use."""
        return self._held.total()

    @property
    def waiting(self) -> int:
        """The number of requests that wait for a slot."""
        return sum(1 for _ in self._waiters())

    @property
    def oldest_wait(self) -> float:
        """Seconds that the oldest waiting request has waited; 0 if none waits."""
        now = self._clock()
        return now - min((waiter.since for waiter in self._waiters()), default=now)

    @asynccontextmanager
    async def slot(self, tenant: str) -> AsyncIterator[None]:
        """Wait for a slot, and hold it while the block runs."""
        self._mark_active(tenant)
        if tenant in self._waiting or not self._has_room(tenant):
            await self._wait(tenant)
        else:
            self._held[tenant] += 1
        try:
            yield
        finally:
            self._release(tenant)

    def _waiters(self) -> "Iterator[_Waiter]":
        """Requests that still wait; cancelled ones stay in the queue until `_grant_next` skips them."""
        for queue in self._waiting.values():
            yield from (waiter for waiter in queue if not waiter.granted.done())

    def _mark_active(self, tenant: str) -> None:
        now = self._clock()
        self._active[tenant] = now
        self._active.move_to_end(tenant)
        while next(iter(self._active.values())) < now - _ACTIVE_SECONDS:
            self._active.popitem(last=False)

    def _has_room(self, tenant: str) -> bool:
        alone = len(self._active) == 1
        share = self._capacity if alone else max(1, self._capacity // _SHARE)
        return self._held.total() < self._capacity and self._held[tenant] < share

    async def _wait(self, tenant: str) -> None:
        waiter = _Waiter(asyncio.get_running_loop().create_future(), self._clock())
        self._waiting.setdefault(tenant, deque()).append(waiter)
        try:
            await waiter.granted
        except asyncio.CancelledError:
            # The slot may have been granted at the same moment; otherwise `_grant_next` skips this waiter.
            if not waiter.granted.cancelled():
                self._release(tenant)
            raise

    def _release(self, tenant: str) -> None:
        self._held[tenant] -= 1
        if not self._held[tenant]:
            del self._held[tenant]
        while self._grant_next():
            pass

    def _grant_next(self) -> bool:
        """Grant a slot to the first tenant in the queue that has room, and move it behind the others."""
        tenant = next(filter(self._has_room, self._waiting), None)
        if tenant is None:
            return False
        queue = self._waiting.pop(tenant)
        waiter = queue.popleft()
        if queue:
            self._waiting[tenant] = queue
        if not waiter.granted.done():
            self._held[tenant] += 1
            waiter.granted.set_result(None)
        return True


@dataclass(frozen=True, slots=True)
class _Waiter:
    """A waiting request, and the time since which it waits."""

    granted: asyncio.Future[None]
    since: float
