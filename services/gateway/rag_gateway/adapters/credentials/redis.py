"""Credentials in Redis, shared by all replicas. That Redis keeps what it is given is its operator's care."""

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from rag_common import errors
from rag_gateway.credentials import ApiKey, Revocation, Revocations, key_name

# Dead keys are still listed for this long.
_KEPT_SECONDS = 30 * 86_400
_LONGEST_SECONDS = 366 * 86_400 + _KEPT_SECONDS


class RedisCredentials:
    """A hash for each key, an index by time for each tenant, and a log of what is revoked.

    All names share a hash tag: a cluster keeps them on one node, where scripts can see them together.
    """

    def __init__(
        self, redis: Redis, prefix: str = "rag:", clock: Callable[[], float] = time.time
    ) -> None:
        self._redis = redis
        self._prefix = f"{prefix}{{credentials}}:"
        self._clock = clock
        self._log = [self._prefix + name for name in ("log", "ends", "place")]
        self._revoke = redis.register_script(_script("revoke.lua"))
        self._since = redis.register_script(_script("since.lua"))
        self._used = redis.register_script(_script("used.lua"))

    async def add(self, key: ApiKey, most: int) -> None:
        """Keep a new key. Raises ResourceExhausted where the tenant has `most`, Unavailable."""
        index, place = self._index(key.tenant), self._place(key.key_id)
        async with _answering():
            await self._redis.zremrangebyscore(index, 0, _ms(self._clock() - _LONGEST_SECONDS))
            if await self._redis.zcard(index) >= most:
                raise errors.ResourceExhausted(
                    f"the tenant has {most} API keys, and may not have more"
                )
            async with self._redis.pipeline(transaction=True) as together:
                together.hset(place, mapping=_fields(key))
                together.pexpireat(place, _ms(key.expires + _KEPT_SECONDS))
                together.zadd(index, {key.key_id: _ms(key.created)})
                await together.execute()

    async def find(self, key_id: str) -> ApiKey | None:
        """The key of that id. Raises Unavailable."""
        async with _answering():
            stored: Any = await self._redis.hgetall(self._place(key_id))
        return _key(key_id, stored)

    async def page(
        self, tenant: str, size: int, after: tuple[float, str] | None
    ) -> Sequence[ApiKey]:
        """The tenant's keys, newest first. Raises Unavailable."""
        found: list[ApiKey] = []
        async with _answering():
            first = await self._rank(tenant, after) if after else 0
            while len(found) < size:
                ids: Any = await self._redis.zrevrange(self._index(tenant), first, first + size - 1)
                keys = [_key(name.decode(), facts) for name, facts in await self._facts(ids)]
                found += [key for key in keys if key]
                first += size
                if len(ids) < size:
                    break
        return found[:size]

    async def revoke(self, tenant: str, key_id: str, now: float) -> ApiKey | None:
        """The key, revoked; None where the tenant has none of that id. Raises Unavailable."""
        async with _answering():
            there = await self._revoke(
                keys=[*self._log, self._place(key_id)],
                args=[_ms(now), key_name(key_id), 0, tenant, "key"],
            )
        return await self.find(key_id) if there else None

    async def used(self, times: Mapping[str, float]) -> None:
        """Note last uses. Raises Unavailable."""
        async with _answering():
            await self._used(
                keys=[self._place(key_id) for key_id in times],
                args=[_ms(t) for t in times.values()],
            )

    async def refuse(self, tenant: str, revocation: Revocation, now: float, most: int) -> None:
        """Refuse a token. Raises ResourceExhausted where `most` are refused already, Unavailable."""
        async with _answering():
            done = await self._revoke(
                keys=[*self._log, f"{self._prefix}tokens:{tenant}"],
                args=[_ms(now), revocation.name, _ms(revocation.until), most, "token"],
            )
        if not done:
            raise errors.ResourceExhausted(
                f"the tenant has {most} revoked tokens, and may not have more"
            )

    async def revocations(self, after: int, size: int) -> Revocations:
        """What was revoked after a place in the log. Raises Unavailable."""
        async with _answering():
            place, *flat = await self._since(keys=self._log, args=[after, size])
        pairs = zip(flat[::2], flat[1::2], strict=True)
        found = tuple(Revocation(name.decode(), float(until) / 1000) for name, until in pairs)
        return Revocations(found, int(place))

    async def _facts(self, ids: Sequence[bytes]) -> list[tuple[bytes, dict[bytes, bytes]]]:
        async with self._redis.pipeline(transaction=False) as together:
            for name in ids:
                together.hgetall(self._place(name.decode()))
            return list(zip(ids, await together.execute(), strict=True))

    async def _rank(self, tenant: str, after: tuple[float, str]) -> int:
        """Where the keys begin that are older than the one of that time and id."""
        created, key_id = after
        rank = await self._redis.zrevrank(self._index(tenant), key_id)
        if isinstance(rank, int):
            return rank + 1
        return int(await self._redis.zcount(self._index(tenant), _ms(created), "+inf"))

    def _place(self, key_id: str) -> str:
        return f"{self._prefix}key:{key_id}"

    def _index(self, tenant: str) -> str:
        return f"{self._prefix}keys:{tenant}"


@asynccontextmanager
async def _answering() -> AsyncIterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise errors.Unavailable(
            "the store of credentials does not answer", retry_after=1.0
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
    facts = {name.decode(): value.decode() for name, value in stored.items()}
    collections = json.loads(facts["collections"])
    return ApiKey(
        key_id=key_id,
        tenant=facts["tenant"],
        display_name=facts["name"],
        scopes=tuple(json.loads(facts["scopes"])),
        collections=None if collections is None else tuple(collections),
        created_by=facts["created_by"],
        created=int(facts["created"]) / 1000,
        expires=int(facts["expires"]) / 1000,
        digest=bytes.fromhex(facts["digest"]),
        last_used=_seconds(facts.get("last_used")),
        revoked=_seconds(facts.get("revoked")),
    )


def _seconds(milliseconds: str | None) -> float | None:
    return None if milliseconds is None else int(milliseconds) / 1000


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _script(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")
