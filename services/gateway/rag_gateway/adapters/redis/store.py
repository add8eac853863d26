"""Whether the shared store answers: left at the first failure, and put back by the background alone."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
from redis.asyncio import Redis

from rag_common.dependency import Dependency
from rag_gateway.adapters.redis.batches import Argument, Batches, Script, within
from rag_gateway.errands import repeated

log = structlog.get_logger()

_RETRY_SECONDS = 1.0

# A try in the background may also have to connect, and nobody waits for it.
_PATIENCE = 10


class StoreDown(Exception):
    """The shared store does not answer; use what stands in for it."""


class Store:
    """A Redis, and whether to ask it.

    The first call that fails, or is not answered within `timeout` seconds, takes the store out of
    use: calls go on at once with what stands in for it, which is this replica's own memory. So an
    outage of Redis is no outage of ours, and no call waits for it again; its price is that each
    replica grants the whole limits on its own meanwhile. Every second a write is tried in the
    background, so that a Redis that only reads is not taken for the store; success puts it back,
    failure is noticed without a call.
    """

    def __init__(
        self, redis: Redis, prefix: str, dependency: Dependency, *, timeout: float = 0.05
    ) -> None:
        self._redis = redis
        self._dependency = dependency
        self._batches = Batches(redis, timeout)
        self._probe = f"{prefix}probe"
        self._timeout = timeout
        self._up = True
        self._trouble = ""

    @property
    def up(self) -> bool:
        """Whether the store is in use: the gauge `quota_store_up`."""
        return self._up

    @property
    def trouble(self) -> str:
        """The class of the latest failure's error; empty while the store is in use."""
        return self._trouble

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """The script's reply. Raises StoreDown, at once while the store is out of use."""
        if not self._up:
            raise StoreDown
        try:
            with self._dependency.call(script.name):
                return await self._batches.run(script, keys, arguments)
        except Exception as error:
            # Whatever it is, a password that cannot be had among others: calls can do without.
            self._leave(error)
            raise StoreDown from error

    async def check(self) -> None:
        """Try a write: the store is in use from now on where that succeeds, and out of use where not."""
        try:
            await within(self._timeout * _PATIENCE, self._write)
        except Exception as error:
            self._leave(error)
            return
        if not self._up:
            self._up, self._trouble = True, ""
            log.info("quota_store", up=True)

    async def _write(self) -> None:
        await self._redis.set(self._probe, 1, px=1000)

    def _leave(self, error: Exception) -> None:
        self._trouble = type(error).__name__
        if self._up:
            self._up = False
            log.warning("quota_store", up=False, error=self._trouble)


@asynccontextmanager
async def watched(store: Store, seconds: float = _RETRY_SECONDS) -> AsyncIterator[Store]:
    """The store, tried every so many seconds."""
    async with repeated(store.check, seconds):
        yield store
