"""Claims and replies of named calls in Redis, where all replicas see them."""

import hashlib

from rag_gateway.adapters.redis.batches import Argument, Script
from rag_gateway.adapters.redis.store import Store
from rag_gateway.buckets import Lease
from rag_gateway.idempotency import Claim, Key, State


class RedisReplies:
    """Knows all replicas' calls. Raises StoreDown. A reply is the tenant's own, by its key."""

    def __init__(self, store: Store, prefix: str) -> None:
        self._store = store
        self._prefix = prefix
        self._claim = Script.read("claim.lua")
        self._change = Script.read("change.lua")

    async def claim(self, key: Key, fingerprint: str, lease: Lease) -> Claim:
        """Claim the key where nobody has it, or the one who has it is the holder."""
        arguments: list[Argument] = [fingerprint, lease.holder, lease.seconds]
        state, reply = await self._store.run(self._claim, [self._name(key)], arguments)
        return Claim(State(state.decode()), bytes(reply))

    async def renew(self, key: Key, lease: Lease) -> None:
        """Go on holding the key where the holder has it."""
        await self._store.run(
            self._change, [self._name(key)], [lease.holder, "renew", lease.seconds]
        )

    async def finish(self, key: Key, fingerprint: str, lease: Lease, reply: bytes | None) -> None:
        """Note that it is done, unless another has claimed the key meanwhile."""
        state = State.DONE if reply is None else State.KEPT
        await self._store.run(
            self._change,
            [self._name(key)],
            [lease.holder, "finish", lease.seconds, fingerprint, state.value, reply or b""],
        )

    async def free(self, key: Key, lease: Lease) -> None:
        """Give up the key where the holder has it."""
        await self._store.run(self._change, [self._name(key)], [lease.holder, "free", 0])

    def _name(self, key: Key) -> str:
        # The id is the caller's, so it may be long and hold anything.
        called = hashlib.sha256(key.request_id.encode()).hexdigest()
        return f"{self._prefix}once:{{{key.tenant}}}:{key.method}:{called}"
