"""A copy of the revocations in memory: this replica's own at once, others' after the next refresh."""

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from rag_common.aio import periodic
from rag_contract import errors
from rag_gateway.auth.credentials import Revocation, Revocations

_PAGE = 1_000
# After this time the complete log is read: a store that lost writes in a failover may reuse a log position.
_COMPLETE_READ_SECONDS = 300.0


class RevocationLog(Protocol):
    """The store's log of revocations, in order."""

    async def revocations(self, after: int, size: int) -> Revocations:
        """At most `size` revocations after a log position, and the position after them.

        Raises Unavailable.
        """
        ...


class RevocationCache:
    """A copy of the store's log, valid for `stale` seconds while the store is unavailable."""

    def __init__(
        self, store: RevocationLog, *, stale: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._stale = stale
        self._clock = clock
        self._until: dict[str, float] = {}
        self._position = 0
        self._read_at = self._read_completely_at = float("-inf")

    def check(self, name: str) -> None:
        """Return if the name has not been revoked. Raises KeyRevoked, Unavailable if the copy is too old."""
        if name in self._until:
            raise errors.KeyRevoked("the credential has been revoked")
        if self._clock() - self._read_at > self._stale:
            raise errors.DependencyDown("the list of revocations is too old", retry_after=2.0)

    def add(self, revocation: Revocation) -> None:
        """Refuse the credential from now on."""
        if revocation.until > self._clock():
            self._until[revocation.name] = revocation.until

    async def ready(self) -> None:
        """Return if the copy is recent enough, or after refreshing it. Raises Unavailable."""
        if self._clock() - self._read_at > self._stale:
            await self.refresh()

    async def refresh(self) -> None:
        """Read new revocations, and periodically the complete log. Raises Unavailable."""
        began = self._clock()
        complete = began - self._read_completely_at > _COMPLETE_READ_SECONDS
        self._position = await self._read_from(0 if complete else self._position)
        self._read_at = began
        if complete:
            self._read_completely_at = began
            # Credentials that have expired need no entry.
            self._until = {name: until for name, until in self._until.items() if until > began}

    async def _read_from(self, position: int) -> int:
        while True:
            page = await self._store.revocations(position, _PAGE)
            if page.position < position:
                position = 0
                continue
            for revocation in page.items:
                self.add(revocation)
            position = page.position
            if len(page.items) < _PAGE:
                return position

    def refreshing(self, interval: float) -> AbstractAsyncContextManager[None]:
        """Refresh the copy every `interval` seconds while the block runs."""
        return periodic(self.refresh, interval, immediately=True, event="revocations_unread")
