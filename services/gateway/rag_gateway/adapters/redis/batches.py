"""Scripts run in Redis, in batches: what is asked while one is under way goes with the next."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

T = TypeVar("T")

_MOST = 256

# A time limit is waited for in parts: a loop that stood still, whatever for, uses up one of them.
_PARTS = 10

Argument = str | bytes | float


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script, its name, and the digest that Redis knows it by."""

    name: str
    text: str
    digest: str

    @classmethod
    def read(cls, name: str) -> "Script":
        """The script of that name beside this module."""
        text = (files(__package__) / name).read_text("utf-8")
        return cls(
            name.removesuffix(".lua"),
            text,
            hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(),
        )


@dataclass(frozen=True, slots=True)
class _Ask:
    script: Script
    keys: Sequence[str]
    arguments: Sequence[Argument]
    reply: asyncio.Future[Any]


class Batches:
    """One batch is under way at a time, for at most `timeout` seconds. Under load, batches grow.

    This costs less than a round trip for each call, needs one connection, and tells a slow Redis from
    a busy loop of our own.
    """

    def __init__(self, redis: Redis, timeout: float) -> None:
        self._redis = redis
        self._timeout = timeout
        self._asks: list[_Ask] = []
        self._sending: asyncio.Task[None] | None = None

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """The script's reply. Raises RedisError, OSError, TimeoutError, and what credentials raise."""
        reply = asyncio.get_running_loop().create_future()
        self._asks.append(_Ask(script, keys, arguments, reply))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        return await reply

    async def _send(self) -> None:
        try:
            while self._asks:
                batch, self._asks = self._asks[:_MOST], self._asks[_MOST:]
                await self._answer(batch)
        finally:
            self._sending = None

    async def _answer(self, batch: Sequence[_Ask]) -> None:
        try:
            replies = await within(self._timeout, lambda: self._execute(batch))
        except Exception as error:
            # Those that wait would only wait as long again.
            batch, self._asks = [*batch, *self._asks], []
            replies = [error] * len(batch)
        for ask, reply in zip(batch, replies, strict=True):
            if ask.reply.done():
                continue
            if isinstance(reply, Exception):
                ask.reply.set_exception(reply)
            else:
                ask.reply.set_result(reply)

    async def _execute(self, batch: Sequence[_Ask]) -> list[Any]:
        replies = await self._round_trip(batch)
        unknown = [n for n, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:
            for text in {batch[n].script.text for n in unknown}:
                await self._redis.script_load(text)
            again = await self._round_trip([batch[n] for n in unknown])
            for n, reply in zip(unknown, again, strict=True):
                replies[n] = reply
        return replies

    async def _round_trip(self, batch: Sequence[_Ask]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for ask in batch:
            keys = ask.keys
            pipeline.execute_command("EVALSHA", ask.script.digest, len(keys), *keys, *ask.arguments)
        return list(await pipeline.execute(raise_on_error=False))


async def within(seconds: float, work: Callable[[], Awaitable[T]]) -> T:
    """What the work gives, in at most so many seconds. Raises TimeoutError."""
    task = asyncio.ensure_future(work())
    try:
        for _ in range(_PARTS):
            if (await asyncio.wait({task}, timeout=seconds / _PARTS))[0]:
                return task.result()
        raise TimeoutError
    finally:
        task.cancel()
