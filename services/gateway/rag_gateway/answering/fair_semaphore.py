"""A semaphore for concurrent searches: fair across tenants, and refusing those that would wait too long."""

import asyncio
import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rag_contract import errors
from rag_gateway.answering.wait_limit import WaitLimit

# While several tenants are active each holds at most a third of the slots, so that a newcomer finds free ones.
_SHARE = 3
# A tenant counts as active for this long after its last request.
_ACTIVE_SECONDS = 60.0
# The weight of the latest search in the mean time that a search holds its slot.
_NEWEST_WEIGHT = 0.05
_MIN_RETRY_SECONDS, _MAX_RETRY_SECONDS = 1.0, 30.0


class FairSemaphore:
    """At most `capacity` searches at once: the only active tenant may use all slots, otherwise each a third.

    Waiting tenants are served in turn (round robin), and the requests of one tenant first come, first
    served. A request that can be expected to wait longer than `wait_limit` is refused at once, and one
    that does wait longer is refused then; None is no limit. In an overload half of the slots are used:
    fewer searches at once are each done sooner, and as many in all. `on_refused` is called for each of them.
    """

    def __init__(
        self,
        capacity: int,
        wait_limit: WaitLimit | None = None,
        on_refused: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capacity = capacity
        self._clock = clock
        self._limit = wait_limit or WaitLimit(math.inf, math.inf, clock)
        self._on_refused = on_refused
        # The mean time that a search holds its slot; 0 before the first one has ended.
        self._mean_held = 0.0
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
        """Wait for a slot, and hold it while the block runs. Raises QueueFull if the wait is too long."""
        self._mark_active(tenant)
        self._limit.arrived()
        arrived = self._clock()
        if tenant in self._waiting or not self._has_room(tenant):
            await self._wait(tenant)
        else:
            self._held[tenant] += 1
        began = self._clock()
        self._limit.admitted(began - arrived)
        try:
            yield
        finally:
            self._learn(self._clock() - began)
            self._release(tenant)

    def expected_wait(self, tenant: str) -> float:
        """Seconds that the tenant's next request would wait, by the mean time that searches hold a slot.

        It comes after the tenant's own waiting requests, and at most as many of each other tenant.
        """
        own = len(self._waiting.get(tenant, ()))
        others = sum(
            min(len(queue), own + 1) for name, queue in self._waiting.items() if name != tenant
        )
        return self._mean_held * max((own + others + 1) / self._usable(), (own + 1) / self._share())

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
        return self._held.total() < self._usable() and self._held[tenant] < self._share()

    def _usable(self) -> int:
        """How many slots may be held at the moment."""
        return -(-self._capacity // 2) if self._limit.overloaded else self._capacity

    def _share(self) -> int:
        """How many slots a tenant may hold."""
        alone = len(self._active) == 1
        return self._usable() if alone else max(1, self._usable() // _SHARE)

    def _learn(self, held: float) -> None:
        weight = _NEWEST_WEIGHT if self._mean_held else 1.0
        self._mean_held += weight * (held - self._mean_held)

    async def _wait(self, tenant: str) -> None:
        longest = self._limit.seconds(first=tenant not in self._waiting, search=self._mean_held)
        expected = self.expected_wait(tenant)
        if expected > longest:
            raise self._refused(expected)
        waiter = _Waiter(asyncio.get_running_loop().create_future(), self._clock())
        self._waiting.setdefault(tenant, deque()).append(waiter)
        try:
            async with asyncio.timeout(None if math.isinf(longest) else longest):
                await self._granted(waiter, tenant)
        except TimeoutError:
            raise self._refused(self.expected_wait(tenant)) from None

    async def _granted(self, waiter: "_Waiter", tenant: str) -> None:
        try:
            await waiter.granted
        except asyncio.CancelledError:
            # The slot may have been granted at the same moment; otherwise `_grant_next` skips this waiter.
            if not waiter.granted.cancelled():
                self._release(tenant)
            raise

    def _refused(self, expected: float) -> errors.QueueFull:
        self._on_refused()
        self._limit.refused()
        return errors.QueueFull(
            "too many searches are waiting",
            metadata={"subject": "search_queue"},
            retry_after=min(max(expected, _MIN_RETRY_SECONDS), _MAX_RETRY_SECONDS),
        )

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
