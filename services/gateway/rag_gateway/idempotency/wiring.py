"""Builds idempotency from the settings."""

from contextlib import AsyncExitStack, suppress

from rag_gateway.idempotency.memory import LocalIdempotencyStore
from rag_gateway.idempotency.redis import RedisIdempotencyStore
from rag_gateway.idempotency.service import Claim, Idempotency, IdempotencyStore, Key, State, Times
from rag_gateway.leases import Lease
from rag_gateway.redis.circuit import SharedStore, StoreUnavailable
from rag_gateway.settings import Settings
from rag_gateway.telemetry.metrics import GatewayMetrics


class SharedIdempotencyStore:
    """Claims in memory first, then in Redis: without Redis, a replica still runs no request twice."""

    def __init__(self, shared: RedisIdempotencyStore, local: LocalIdempotencyStore) -> None:
        self._shared = shared
        self._local = local

    async def claim(self, key: Key, fingerprint: str, lease: Lease) -> Claim:
        """Claim the key in both stores."""
        own = await self._local.claim(key, fingerprint, lease)
        if own.state is not State.CLAIMED:
            return own
        try:
            claim = await self._shared.claim(key, fingerprint, lease)
        except StoreUnavailable:
            return own
        if claim.state is not State.CLAIMED:
            await self._local.release(key, lease)
        return claim

    async def renew(self, key: Key, lease: Lease) -> None:
        """Extend the claim in both stores."""
        await self._local.renew(key, lease)
        with suppress(StoreUnavailable):
            await self._shared.renew(key, lease)

    async def finish(
        self, key: Key, fingerprint: str, lease: Lease, response: bytes | None
    ) -> None:
        """Record in both stores that the request is done."""
        await self._local.finish(key, fingerprint, lease, response)
        with suppress(StoreUnavailable):
            await self._shared.finish(key, fingerprint, lease, response)

    async def release(self, key: Key, lease: Lease) -> None:
        """Release the key in both stores."""
        await self._local.release(key, lease)
        with suppress(StoreUnavailable):
            await self._shared.release(key, lease)


def build_idempotency(
    stack: AsyncExitStack, settings: Settings, store: SharedStore | None, metrics: GatewayMetrics
) -> Idempotency:
    """Idempotency keys in the shared store, or in this replica's memory if there is none."""
    idempotency = Idempotency(
        build_idempotency_store(store),
        Times(retention=settings.request_id_seconds),
        max_bytes=settings.request_id_bytes,
        on_lookup=metrics.caches.of("replies"),
    )
    stack.push_async_callback(idempotency.join)
    return idempotency


def build_idempotency_store(store: SharedStore | None) -> IdempotencyStore:
    """Keys in the shared store and in memory; in memory alone if there is no shared store."""
    local = LocalIdempotencyStore()
    return (
        SharedIdempotencyStore(RedisIdempotencyStore(store, store.prefix), local)
        if store
        else local
    )
