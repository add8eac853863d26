"""Idempotency keys and stored responses in this process's memory, bounded in number and size."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from rag_gateway.idempotency.service import Claim, Key, State
from rag_gateway.leases import Lease


@dataclass(frozen=True, slots=True)
class _Entry:
    fingerprint: str
    holder: str
    state: State
    response: bytes
    end: float


class LocalIdempotencyStore:
    """Stores keys for one process, at most `max_entries` and `max_bytes`; the oldest are dropped."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        max_entries: int = 4096,
        max_bytes: int = 32 * 2**20,
    ) -> None:
        self._clock = clock
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()

    async def claim(self, key: Key, fingerprint: str, lease: Lease) -> Claim:
        """Claim the key if it is free or already claimed by the same holder."""
        present = self._present(key)
        if present and present.holder != lease.holder:
            same = present.fingerprint == fingerprint
            return Claim(present.state, present.response) if same else Claim(State.OTHER)
        self._put(key, _Entry(fingerprint, lease.holder, State.RUNNING, b"", self._end(lease)))
        return Claim(State.CLAIMED)

    async def renew(self, key: Key, lease: Lease) -> None:
        """Extend the claim if the holder has it."""
        present = self._present(key)
        if present and present.holder == lease.holder:
            self._put(key, replace(present, end=self._end(lease)))

    async def finish(
        self, key: Key, fingerprint: str, lease: Lease, response: bytes | None
    ) -> None:
        """Record that the request is done, unless another holder has claimed the key meanwhile."""
        present = self._present(key)
        if present and present.holder != lease.holder:
            return
        state = State.DONE if response is None else State.STORED
        self._put(key, _Entry(fingerprint, lease.holder, state, response or b"", self._end(lease)))

    async def release(self, key: Key, lease: Lease) -> None:
        """Release the key if the holder has it."""
        present = self._present(key)
        if present and present.holder == lease.holder:
            self._drop(key)

    def _present(self, key: Key) -> _Entry | None:
        entry = self._entries.get(key)
        if entry and entry.end <= self._clock():
            self._drop(key)
            return None
        return entry

    def _put(self, key: Key, entry: _Entry) -> None:
        self._drop(key)
        self._entries[key] = entry
        self._bytes += len(entry.response)
        while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
            self._drop(self._oldest())

    def _oldest(self) -> Key:
        """The oldest finished key, as a running request must not run twice; else the oldest of all."""
        done = (key for key, entry in self._entries.items() if entry.state is not State.RUNNING)
        return next(done, next(iter(self._entries)))

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        self._bytes -= len(entry.response) if entry else 0

    def _end(self, lease: Lease) -> float:
        return self._clock() + lease.seconds
