"""API keys as callers show them: looked up, remembered for a bounded time, and noted as used."""

import asyncio
import hmac
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

import structlog

from rag_common import errors
from rag_common.context import Principal
from rag_gateway.adapters.tokens import RevocationList
from rag_gateway.credentials import ApiKey, key_name, parse

log = structlog.get_logger()

_FRESH_SECONDS = 30.0
_UNKNOWN_SECONDS = 10.0
_REMEMBERED = 4096
# Ids that the store does not have, looked up a second: who guesses keys does not reach it more often.
# More than the edge lets one address try, or a stranger could keep real keys out by making some up.
_MISSES_PER_SECOND = 4_000.0
_MOST_MISSES = 8_000.0
_MOST_USES = 4096


class Lookup(Protocol):
    """Where API keys are kept. Each method raises Unavailable."""

    async def find(self, key_id: str) -> ApiKey | None:
        """The key of that id, revoked and expired ones too."""
        ...

    async def used(self, times: Mapping[str, float]) -> None:
        """Note when keys were last used; what is later already stays."""
        ...


@dataclass(frozen=True, slots=True)
class _Seen:
    key: ApiKey | None
    at: float


class ApiKeys:
    """Says whom an API key speaks for.

    Where the store does not answer, keys seen in the last 30 s and `stale` seconds go on working.
    `looked` is told whether a key was remembered.
    """

    def __init__(
        self,
        store: Lookup,
        revoked: RevocationList,
        *,
        stale: float = 60.0,
        clock: Callable[[], float] = time.time,
        looked: Callable[[bool], None] = lambda _hit: None,
    ) -> None:
        self._looked = looked
        self._store = store
        self._revoked = revoked
        self._stale = stale
        self._clock = clock
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        # Apart, so that guesses do not push out what is real.
        self._unknown: OrderedDict[str, _Seen] = OrderedDict()
        self._looking: dict[str, asyncio.Task[ApiKey | None]] = {}
        self._misses = _Bucket(_MISSES_PER_SECOND, _MOST_MISSES, clock)
        self._uses: dict[str, float] = {}

    async def principal(self, text: str) -> Principal:
        """The caller. Raises Unauthenticated, KeyRevoked, TokenExpired, Overloaded, Unavailable."""
        parsed = parse(text)
        key = await self._key(parsed[0]) if parsed else None
        if not parsed or key is None or not hmac.compare_digest(key.digest, parsed[1]):
            raise errors.Unauthenticated("there is no such API key")
        if key.revoked is not None:
            raise errors.KeyRevoked("the API key has been revoked")
        self._revoked.check(key_name(key.key_id))
        now = self._clock()
        if now >= key.expires:
            raise errors.TokenExpired("the API key has expired")
        self._note(key, now)
        return _principal(key)

    @asynccontextmanager
    async def noting_uses(self, interval: float = 15.0) -> AsyncIterator[None]:
        """Inside the block, last uses are written to the store every `interval` seconds, and at its end."""
        writing = asyncio.create_task(self._keep_writing(interval))
        try:
            yield
        finally:
            writing.cancel()
            with suppress(asyncio.CancelledError):
                await writing
            await self.write_uses()

    async def write_uses(self) -> None:
        """Write what was noted; where the store does not answer, it is written next time."""
        noted, self._uses = self._uses, {}
        if not noted:
            return
        try:
            await self._store.used(noted)
        except errors.AppError as error:
            log.warning("key_uses_unwritten", keys=len(noted), reason=error.reason)
            self._uses = {**noted, **self._uses}

    async def _keep_writing(self, interval: float) -> None:
        while True:
            await asyncio.sleep(interval)
            await self.write_uses()

    async def _key(self, key_id: str) -> ApiKey | None:
        now = self._clock()
        seen = self._seen.get(key_id) or self._unknown.get(key_id)
        if seen and now - seen.at < (_FRESH_SECONDS if seen.key else _UNKNOWN_SECONDS):
            self._looked(True)
            return seen.key
        self._looked(False)
        try:
            return await self._look_up(key_id)
        except errors.Unavailable:
            if seen and seen.key and now - seen.at < _FRESH_SECONDS + self._stale:
                return seen.key
            raise

    async def _look_up(self, key_id: str) -> ApiKey | None:
        """Ask the store, once for all who wait for the same key."""
        task = self._looking.get(key_id)
        if task is None:
            task = asyncio.create_task(self._find(key_id))
            self._looking[key_id] = task
            task.add_done_callback(lambda done: self._looked_up(key_id, done))
        # One caller's end is not the end of the others' question.
        return await asyncio.shield(task)

    def _looked_up(self, key_id: str, done: "asyncio.Task[ApiKey | None]") -> None:
        del self._looking[key_id]
        if not done.cancelled():
            # Those who waited may all have gone; then nobody else looks at it.
            done.exception()

    async def _find(self, key_id: str) -> ApiKey | None:
        self._misses.take()
        key = await self._store.find(key_id)
        if key is not None:
            self._misses.give_back()
            self._unknown.pop(key_id, None)
        else:
            self._seen.pop(key_id, None)
        kept = self._unknown if key is None else self._seen
        kept[key_id] = _Seen(key, self._clock())
        kept.move_to_end(key_id)
        if len(kept) > _REMEMBERED:
            kept.popitem(last=False)
        return key

    def _note(self, key: ApiKey, now: float) -> None:
        """To the minute, and nothing more where there are too many to keep."""
        minute = now - now % 60
        if minute > (key.last_used or 0) and len(self._uses) < _MOST_USES:
            self._uses[key.key_id] = minute


class _Bucket:
    """A token bucket."""

    def __init__(self, per_second: float, most: float, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._most = self._left = most
        self._clock = clock
        self._at = clock()

    def take(self) -> None:
        """Raise Overloaded where nothing is left."""
        now = self._clock()
        self._left = min(self._most, self._left + max(now - self._at, 0) * self._per_second)
        self._at = now
        if self._left < 1:
            raise errors.Overloaded("too many unknown API keys are being tried", retry_after=1.0)
        self._left -= 1

    def give_back(self) -> None:
        """What was taken was not needed."""
        self._left = min(self._most, self._left + 1)


def _principal(key: ApiKey) -> Principal:
    return Principal(
        subject=f"key:{key.key_id}",
        tenant=key.tenant,
        scopes=frozenset(key.scopes),
        collections=None if key.collections is None else frozenset(key.collections),
        credential=key.key_id,
    )
