"""What has been revoked, in memory: this replica's own at once, others' as soon as the store is asked again."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import structlog

from rag_common import errors
from rag_gateway.credentials import Revocation, Revocations

log = structlog.get_logger()

_PAGE = 1_000
# A store that lost its last writes to a failover may give a place in its log a second time.
_WHOLE_SECONDS = 300.0


class Log(Protocol):
    """What has been revoked, in the order it was."""

    async def revocations(self, after: int, size: int) -> Revocations:
        """At most `size` of those after a place in the log, and the place that the log is at.

        Raises Unavailable.
        """
        ...


class Revoked:
    """A copy of the store's log. Where the store does not answer, the copy is good for `stale` seconds."""

    def __init__(self, store: Log, *, stale: float, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._stale = stale
        self._clock = clock
        self._until: dict[str, float] = {}
        self._place = 0
        self._asked_at = self._whole_at = float("-inf")

    def check(self, name: str) -> None:
        """Return where the name has not been revoked. Raises KeyRevoked, and Unavailable if unknown."""
        if name in self._until:
            raise errors.KeyRevoked("the credential has been revoked")
        if self._clock() - self._asked_at > self._stale:
            raise errors.Unavailable("it cannot be known what has been revoked", retry_after=2.0)

    def add(self, revocation: Revocation) -> None:
        """Refuse it from this moment on."""
        if revocation.until > self._clock():
            self._until[revocation.name] = revocation.until

    async def ready(self) -> None:
        """Return where the copy can be trusted. Raises Unavailable."""
        if self._clock() - self._asked_at > self._stale:
            await self.refresh()

    async def refresh(self) -> None:
        """Read what is new, and now and then everything. Raises Unavailable."""
        began = self._clock()
        whole = began - self._whole_at > _WHOLE_SECONDS
        self._place = await self._read_from(0 if whole else self._place)
        self._asked_at = began
        if whole:
            self._whole_at = began
            # What has ended by itself need not be remembered.
            self._until = {name: until for name, until in self._until.items() if until > began}

    async def _read_from(self, place: int) -> int:
        while True:
            news = await self._store.revocations(place, _PAGE)
            if news.place < place:
                place = 0
                continue
            for revocation in news.found:
                self.add(revocation)
            place = news.place
            if len(news.found) < _PAGE:
                return place

    @asynccontextmanager
    async def following(self, interval: float) -> AsyncIterator[None]:
        """Inside the block, the store is asked every `interval` seconds."""
        task = asyncio.create_task(self._follow(interval))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _follow(self, interval: float) -> None:
        failing = False
        while True:
            try:
                await self.refresh()
                failing = False
            except errors.AppError as error:
                if not failing:
                    log.warning("revocations_unread", reason=error.reason)
                failing = True
            await asyncio.sleep(interval)
