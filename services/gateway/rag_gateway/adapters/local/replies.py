"""Claims and replies of named calls in this process's memory, a bounded number and size of them."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from rag_gateway.buckets import Lease
from rag_gateway.idempotency import Claim, Key, State


@dataclass(frozen=True, slots=True)
class _Entry:
    fingerprint: str
    holder: str
    state: State
    reply: bytes
    end: float


class LocalReplies:
    """Knows one process's calls. Beyond `most` entries or bytes the oldest are forgotten."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        most: int = 4096,
        most_bytes: int = 32 * 2**20,
    ) -> None:
        self._clock = clock
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()

    async def claim(self, key: Key, fingerprint: str, lease: Lease) -> Claim:
        """Claim the key where nobody has it, or the one who has it is the holder."""
        present = self._present(key)
        if present and present.holder != lease.holder:
            same = present.fingerprint == fingerprint
            return Claim(present.state, present.reply) if same else Claim(State.OTHER)
        self._put(key, _Entry(fingerprint, lease.holder, State.RUNNING, b"", self._end(lease)))
        return Claim(State.CLAIMED)

    async def renew(self, key: Key, lease: Lease) -> None:
        """Go on holding the key where the holder has it."""
        present = self._present(key)
        if present and present.holder == lease.holder:
            self._put(key, replace(present, end=self._end(lease)))

    async def finish(self, key: Key, fingerprint: str, lease: Lease, reply: bytes | None) -> None:
        """Note that it is done, unless another has claimed the key meanwhile."""
        present = self._present(key)
        if present and present.holder != lease.holder:
            return
        state = State.DONE if reply is None else State.KEPT
        self._put(key, _Entry(fingerprint, lease.holder, state, reply or b"", self._end(lease)))

    async def free(self, key: Key, lease: Lease) -> None:
        """Give up the key where the holder has it."""
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
        self._bytes += len(entry.reply)
        while len(self._entries) > self._most or self._bytes > self._most_bytes:
            self._drop(self._oldest())

    def _oldest(self) -> Key:
        """Of those that are done, for who is at work must not be joined; else of all."""
        done = (key for key, entry in self._entries.items() if entry.state is not State.RUNNING)
        return next(done, next(iter(self._entries)))

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        self._bytes -= len(entry.reply) if entry else 0

    def _end(self, lease: Lease) -> float:
        return self._clock() + lease.seconds
