"""Verifies API keys: looks them up in the store, caches them for a limited time, and records their last use."""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import structlog
from cachetools import TTLCache

from rag_common.aio import periodic
from rag_common.context import Principal
from rag_contract import errors
from rag_gateway.auth.credentials import ApiKey, key_name, parse
from rag_gateway.auth.jwt import RevocationList

log = structlog.get_logger()

_FRESH_SECONDS = 30.0
_UNKNOWN_SECONDS = 10.0
_CACHE_SIZE = 4096
# Lookups of unknown ids per second that reach the store, which limits guessing. The limit is above what the
# edge allows one address, as otherwise a single client with invented keys could lock out valid ones.
_MISSES_PER_SECOND = 4_000.0
_MAX_MISSES = 8_000.0
_MAX_USES = 4096


class ApiKeyStore(Protocol):
    """Stores API keys. Each method raises Unavailable."""

    async def find(self, key_id: str) -> ApiKey | None:
        """The key of that id, even if it is revoked or expired; None if there is none."""
        ...

    async def used(self, times: Mapping[str, float]) -> None:
        """Record when keys were last used, by key id; a later stored time is kept."""
        ...


@dataclass(frozen=True, slots=True)
class _CachedKey:
    key: ApiKey
    read_at: float


class ApiKeyVerifier:
    """Returns the principal of an API key.

    While the store is unavailable, keys that were read in the last 30 s + `stale` seconds keep working.
    `on_lookup` is called with whether the key was cached.
    """

    def __init__(
        self,
        store: ApiKeyStore,
        revoked: RevocationList,
        *,
        stale: float = 60.0,
        clock: Callable[[], float] = time.time,
        on_lookup: Callable[[bool], None] = lambda _hit: None,
    ) -> None:
        self._on_lookup = on_lookup
        self._store = store
        self._revoked = revoked
        self._clock = clock
        self._known: TTLCache[str, _CachedKey] = TTLCache(
            _CACHE_SIZE, _FRESH_SECONDS + stale, timer=clock
        )
        # A cache of its own, so that guesses do not evict existing keys.
        self._unknown: TTLCache[str, None] = TTLCache(_CACHE_SIZE, _UNKNOWN_SECONDS, timer=clock)
        self._lookups: dict[str, asyncio.Task[ApiKey | None]] = {}
        self._misses = _Bucket(_MISSES_PER_SECOND, _MAX_MISSES, clock)
        self._uses: dict[str, float] = {}

    async def principal(self, text: str) -> Principal:
        """The caller. Raises Unauthenticated, KeyRevoked, TokenExpired, Overloaded, Unavailable."""
        parsed = parse(text)
        key = await self._key(parsed[0]) if parsed else None
        if not parsed or key is None or not hmac.compare_digest(key.digest, parsed[1]):
            raise errors.TokenInvalid("there is no such API key")
        if key.revoked is not None:
            raise errors.KeyRevoked("the API key has been revoked")
        self._revoked.check(key_name(key.key_id))
        now = self._clock()
        if now >= key.expires:
            raise errors.TokenExpired("the API key has expired")
        self._note(key, now)
        return _principal(key)

    @asynccontextmanager
    async def writing_uses(self, interval: float = 15.0) -> AsyncIterator[None]:
        """Write last uses to the store every `interval` seconds while the block runs, and at its end."""
        try:
            async with periodic(self.write_uses, interval):
                yield
        finally:
            await self.write_uses()

    async def write_uses(self) -> None:
        """Write the recorded uses to the store; if it is unavailable, they are written next time."""
        noted, self._uses = self._uses, {}
        if not noted:
            return
        try:
            await self._store.used(noted)
        except errors.AppError as error:
            log.warning("key_uses_unwritten", keys=len(noted), reason=error.reason)
            self._uses = {**noted, **self._uses}

    async def _key(self, key_id: str) -> ApiKey | None:
        cached = self._known.get(key_id)
        fresh = cached is not None and self._clock() - cached.read_at < _FRESH_SECONDS
        hit = fresh or key_id in self._unknown
        self._on_lookup(hit)
        if hit:
            return cached.key if cached else None
        try:
            return await self._look_up(key_id)
        except errors.Unavailable:
            if cached:
                return cached.key
            raise

    async def _look_up(self, key_id: str) -> ApiKey | None:
        """Read the key from the store, once for all concurrent requests with that key."""
        task = self._lookups.get(key_id)
        if task is None:
            task = asyncio.create_task(self._find(key_id))
            self._lookups[key_id] = task
            task.add_done_callback(lambda done: self._finish_lookup(key_id, done))
        # A cancelled request must not cancel the lookup that others wait for.
        return await asyncio.shield(task)

    def _finish_lookup(self, key_id: str, done: "asyncio.Task[ApiKey | None]") -> None:
        del self._lookups[key_id]
        if not done.cancelled():
            # Mark the exception as retrieved: all waiting requests may have been cancelled.
            done.exception()

    async def _find(self, key_id: str) -> ApiKey | None:
        self._misses.consume()
        key = await self._store.find(key_id)
        if key is not None:
            self._misses.refund()
            self._unknown.pop(key_id, None)
            self._known[key_id] = _CachedKey(key, self._clock())
        else:
            self._known.pop(key_id, None)
            self._unknown[key_id] = None
        return key

    def _note(self, key: ApiKey, now: float) -> None:
        """Record the use, to the minute, unless too many uses are recorded already."""
        minute = now - now % 60
        if minute > (key.last_used or 0) and len(self._uses) < _MAX_USES:
            self._uses[key.key_id] = minute


class _Bucket:
    """A token bucket."""

    def __init__(self, per_second: float, capacity: float, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._capacity = self._level = capacity
        self._clock = clock
        self._at = clock()

    def consume(self) -> None:
        """Consume a token. Raises Overloaded if there is none."""
        now = self._clock()
        self._level = min(self._capacity, self._level + max(now - self._at, 0) * self._per_second)
        self._at = now
        if self._level < 1:
            raise errors.Overloaded("too many unknown API keys are being tried", retry_after=1.0)
        self._level -= 1

    def refund(self) -> None:
        """Return a consumed token."""
        self._level = min(self._capacity, self._level + 1)


def _principal(key: ApiKey) -> Principal:
    return Principal(
        subject=f"key:{key.key_id}",
        tenant=key.tenant,
        scopes=frozenset(key.scopes),
        collections=None if key.collections is None else frozenset(key.collections),
        credential=key.key_id,
    )
