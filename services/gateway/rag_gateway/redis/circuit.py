"""The Redis that replicas share, behind a circuit breaker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import structlog

from rag_common.aio import periodic
from rag_common.observability.dependency import Dependency
from rag_gateway.redis.scripts import Argument, Script, ScriptBatcher, within

# For its type alone: it is imported with the first connection (wiring.py).
if TYPE_CHECKING:
    from redis.asyncio import Redis

log = structlog.get_logger()

_RETRY_SECONDS = 1.0

# A probe may take this many times the timeout of a call: it may have to connect, and no call waits for it.
_PROBE_TIMEOUTS = 10


class StoreUnavailable(Exception):
    """The shared store is unavailable; use this replica's memory instead."""


class SharedStore:
    """A Redis behind a circuit breaker, which opens at the first failure.

    The first call that fails, or takes longer than `timeout` seconds, opens the circuit: further calls
    fail at once, and callers use this replica's own memory. So an outage of Redis is no outage of the
    gateway, and no call waits for it again; its price is that each replica grants the full limits on
    its own meanwhile. A background probe writes to Redis every second, as a read-only replica cannot
    serve as the store: a successful probe closes the circuit, a failed one opens it without a call.
    """

    def __init__(
        self, redis: Redis, prefix: str, dependency: Dependency, *, timeout: float = 0.05
    ) -> None:
        self.prefix = prefix
        self._redis = redis
        self._dependency = dependency
        self._batches = ScriptBatcher(redis, timeout)
        self._probe = f"{prefix}probe"
        self._timeout = timeout
        self._available = True
        self._last_error = ""

    @property
    def available(self) -> bool:
        """Whether the circuit is closed; exported as the gauge `rag_quota_store_up`."""
        return self._available

    @property
    def last_error(self) -> str:
        """The class name of the last error; empty while the store is available."""
        return self._last_error

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """The script's result. Raises StoreUnavailable, immediately while the circuit is open."""
        if not self._available:
            raise StoreUnavailable
        try:
            with self._dependency.call(script.name):
                return await self._batches.run(script, keys, arguments)
        except Exception as error:
            # Every error counts, such as a password that cannot be read: calls can do without the store.
            self._open(error)
            raise StoreUnavailable from error

    async def check(self) -> None:
        """Probe with a write: success closes the circuit, failure opens it."""
        try:
            await within(self._timeout * _PROBE_TIMEOUTS, self._write)
        except Exception as error:
            self._open(error)
            return
        if not self._available:
            self._available, self._last_error = True, ""
            log.info("quota_store", up=True)

    async def _write(self) -> None:
        await self._redis.set(self._probe, 1, px=1000)

    def _open(self, error: Exception) -> None:
        self._last_error = type(error).__name__
        if self._available:
            self._available = False
            log.warning("quota_store", up=False, error=self._last_error)


@asynccontextmanager
async def monitored(
    store: SharedStore, seconds: float = _RETRY_SECONDS
) -> AsyncIterator[SharedStore]:
    """The store, probed every `seconds` while the block runs."""
    async with periodic(store.check, seconds):
        yield store
