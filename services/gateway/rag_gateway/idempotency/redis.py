"""Idempotency keys and stored responses in Redis, shared by all replicas."""

import hashlib

from rag_gateway.idempotency.service import Claim, Key, State
from rag_gateway.leases import Lease
from rag_gateway.redis.circuit import SharedStore
from rag_gateway.redis.scripts import Argument, Script


class RedisIdempotencyStore:
    """Stores keys for all replicas. Each method raises StoreUnavailable. A key includes the tenant."""

    def __init__(self, store: SharedStore, prefix: str) -> None:
        self._store = store
        self._prefix = prefix
        self._claim = Script.read(__package__, "claim.lua")
        self._change = Script.read(__package__, "change.lua")

    async def claim(self, key: Key, fingerprint: str, lease: Lease) -> Claim:
        """Claim the key if it is free or already claimed by the same holder."""
        arguments: list[Argument] = [fingerprint, lease.holder, lease.seconds]
        state, response = await self._store.run(self._claim, [self._name(key)], arguments)
        return Claim(State(state.decode()), bytes(response))

    async def renew(self, key: Key, lease: Lease) -> None:
        """Extend the claim if the holder has it."""
        await self._store.run(
            self._change, [self._name(key)], [lease.holder, "renew", lease.seconds]
        )

    async def finish(
        self, key: Key, fingerprint: str, lease: Lease, response: bytes | None
    ) -> None:
        """Record that the request is done, unless another holder has claimed the key meanwhile."""
        state = State.DONE if response is None else State.STORED
        await self._store.run(
            self._change,
            [self._name(key)],
            [lease.holder, "finish", lease.seconds, fingerprint, state.value, response or b""],
        )

    async def release(self, key: Key, lease: Lease) -> None:
        """Release the key if the holder has it."""
        await self._store.run(self._change, [self._name(key)], [lease.holder, "free", 0])

    def _name(self, key: Key) -> str:
        # The id comes from the caller, so it may be long and of any form.
        digest = hashlib.sha256(key.request_id.encode()).hexdigest()
        return f"{self._prefix}once:{{{key.tenant}}}:{key.method}:{digest}"
