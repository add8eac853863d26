"""Credentials in Redis, shared by all replicas. The operator of that Redis must configure persistence."""

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from rag_contract import errors
from rag_gateway.auth.credentials import ApiKey, Revocation, Revocations, key_name

# Revoked and expired keys are still listed for this long.
_RETENTION_SECONDS = 30 * 86_400


class RedisCredentials:
    """A hash for each key, an index by creation time for each tenant, and a log of revocations.

    All names share a hash tag, so that a cluster keeps them on one node, as scripts require.
    """

    def __init__(
        self, redis: Redis, prefix: str = "rag:", clock: Callable[[], float] = time.time
    ) -> None:
        self._redis = redis
        self._prefix = f"{prefix}{{credentials}}:"
        self._clock = clock
        self._log = [self._prefix + name for name in ("log", "ends", "place")]
        self._add = redis.register_script(_script("add.lua"))
        self._revoke = redis.register_script(_script("revoke.lua"))
        self._since = redis.register_script(_script("since.lua"))
        self._used = redis.register_script(_script("used.lua"))

    async def add(self, key: ApiKey, limit: int) -> None:
        """Store a new key, atomically, by a script.

        Raises ApiKeyLimit if the tenant has `limit` usable ones, Unavailable.
        """
        flat = [part for pair in _fields(key).items() for part in pair]
        async with _translating_errors():
            added = await self._add(
                keys=[self._index(key.tenant), self._hash_name(key.key_id)],
                args=[
                    *(self._hash_name(""), _ms(self._clock()), limit),
                    *(key.key_id, _ms(key.created), _ms(key.expires + _RETENTION_SECONDS)),
                    *flat,
                ],
            )
        if not added:
            raise errors.ApiKeyLimit(f"the tenant has {limit} usable API keys, the maximum")

    async def find(self, key_id: str) -> ApiKey | None:
        """The key of that id. Raises Unavailable."""
        async with _translating_errors():
            stored: Any = await self._redis.hgetall(self._hash_name(key_id))
        return _key(key_id, stored)

    async def page(
        self, tenant: str, size: int, after: tuple[float, str] | None
    ) -> Sequence[ApiKey]:
        """The tenant's keys, newest first. Raises Unavailable."""
        keys: list[ApiKey] = []
        async with _translating_errors():
            first = await self._rank(tenant, after) if after else 0
            while len(keys) < size:
                ids: Any = await self._redis.zrevrange(self._index(tenant), first, first + size - 1)
                read = [_key(name.decode(), fields) for name, fields in await self._hashes(ids)]
                keys += [key for key in read if key]
                first += size
                if len(ids) < size:
                    break
        return keys[:size]

    async def revoke(self, tenant: str, key_id: str, now: float) -> ApiKey | None:
        """The key, revoked; None if the tenant has none of that id. Raises Unavailable."""
        async with _translating_errors():
            exists = await self._revoke(
                keys=[*self._log, self._hash_name(key_id)],
                args=[_ms(now), key_name(key_id), 0, tenant, "key"],
            )
        return await self.find(key_id) if exists else None

    async def used(self, times: Mapping[str, float]) -> None:
        """Record last uses. Raises Unavailable."""
        async with _translating_errors():
            await self._used(
                keys=[self._hash_name(key_id) for key_id in times],
                args=[_ms(t) for t in times.values()],
            )

    async def refuse(self, tenant: str, revocation: Revocation, now: float, limit: int) -> None:
        """Refuse a token. Raises RevokedTokenLimit if `limit` are refused already, Unavailable."""
        async with _translating_errors():
            done = await self._revoke(
                keys=[*self._log, f"{self._prefix}tokens:{tenant}"],
                args=[_ms(now), revocation.name, _ms(revocation.until), limit, "token"],
            )
        if not done:
            raise errors.RevokedTokenLimit(f"the tenant has {limit} revoked tokens, the maximum")

    async def revocations(self, after: int, size: int) -> Revocations:
        """The revocations after a position in the log. Raises Unavailable."""
        async with _translating_errors():
            position, *flat = await self._since(keys=self._log, args=[after, size])
        pairs = zip(flat[::2], flat[1::2], strict=True)
        items = tuple(Revocation(name.decode(), float(until) / 1000) for name, until in pairs)
        return Revocations(items, int(position))

    async def _hashes(self, ids: Sequence[bytes]) -> list[tuple[bytes, dict[bytes, bytes]]]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for name in ids:
                pipeline.hgetall(self._hash_name(name.decode()))
            return list(zip(ids, await pipeline.execute(), strict=True))

    async def _rank(self, tenant: str, after: tuple[float, str]) -> int:
        """The rank of the first key that is older than the one of that creation time and id."""
        created, key_id = after
        rank = await self._redis.zrevrank(self._index(tenant), key_id)
        if isinstance(rank, int):
            return rank + 1
        return int(await self._redis.zcount(self._index(tenant), _ms(created), "+inf"))

    def _hash_name(self, key_id: str) -> str:
        return f"{self._prefix}key:{key_id}"

    def _index(self, tenant: str) -> str:
        return f"{self._prefix}keys:{tenant}"


@asynccontextmanager
async def _translating_errors() -> AsyncIterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise errors.DependencyDown(
            "the credential store is unavailable", retry_after=1.0
        ) from error


def _fields(key: ApiKey) -> dict[Any, Any]:
    return {
        "tenant": key.tenant,
        "name": key.display_name,
        "scopes": json.dumps(key.scopes),
        "collections": json.dumps(key.collections),
        "created_by": key.created_by,
        "created": _ms(key.created),
        "expires": _ms(key.expires),
        "digest": key.digest.hex(),
    }


def _key(key_id: str, stored: Mapping[bytes, bytes]) -> ApiKey | None:
    if not stored:
        return None
    fields = {name.decode(): value.decode() for name, value in stored.items()}
    collections = json.loads(fields["collections"])
    return ApiKey(
        key_id=key_id,
        tenant=fields["tenant"],
        display_name=fields["name"],
        scopes=tuple(json.loads(fields["scopes"])),
        collections=None if collections is None else tuple(collections),
        created_by=fields["created_by"],
        created=int(fields["created"]) / 1000,
        expires=int(fields["expires"]) / 1000,
        digest=bytes.fromhex(fields["digest"]),
        last_used=_seconds(fields.get("last_used")),
        revoked=_seconds(fields.get("revoked")),
    )


def _seconds(milliseconds: str | None) -> float | None:
    return None if milliseconds is None else int(milliseconds) / 1000


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _script(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")
