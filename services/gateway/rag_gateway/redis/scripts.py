"""Runs Lua scripts in Redis in batches: calls that arrive during a round trip share the next one."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeVar

# For its type alone: it is imported with the first connection (wiring.py).
if TYPE_CHECKING:
    from redis.asyncio import Redis

T = TypeVar("T")

_MAX_BATCH = 256

# A timeout is waited for in slices: a blocked event loop uses up one of them, not the complete timeout.
_SLICES = 10

Argument = str | bytes | float


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script, its name, and its SHA-1 digest, by which Redis identifies it."""

    name: str
    text: str
    digest: str

    @classmethod
    def read(cls, package: str, name: str) -> Script:
        """Read the script of that file name from a package."""
        text = (files(package) / name).read_text("utf-8")
        return cls(
            name.removesuffix(".lua"),
            text,
            hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(),
        )


@dataclass(frozen=True, slots=True)
class _Call:
    script: Script
    keys: Sequence[str]
    arguments: Sequence[Argument]
    result: asyncio.Future[Any]
    context: Context = field(default_factory=copy_context)


class ScriptBatcher:
    """Sends one batch at a time, each with a timeout of `timeout` seconds. Under load, batches grow.

    This costs less than a round trip for each call, needs one connection, and distinguishes a slow Redis
    from a busy event loop in this process.
    """

    def __init__(self, redis: Redis, timeout: float) -> None:
        from redis.exceptions import NoScriptError

        self._no_script = NoScriptError
        self._redis = redis
        self._timeout = timeout
        self._pending: list[_Call] = []
        self._sending: asyncio.Task[None] | None = None

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """The script's result. Raises RedisError, OSError, TimeoutError, and errors of the credentials."""
        result = asyncio.get_running_loop().create_future()
        self._pending.append(_Call(script, keys, arguments, result))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        return await result

    async def _send(self) -> None:
        batch, self._pending = self._pending[:_MAX_BATCH], self._pending[_MAX_BATCH:]
        try:
            await self._complete(batch)
        finally:
            self._sending = None
        if self._pending:
            # Each batch in the context of its first call: a span of its commands belongs to that call's trace.
            self._sending = asyncio.create_task(self._send(), context=self._pending[0].context)

    async def _complete(self, batch: Sequence[_Call]) -> None:
        try:
            results = await within(self._timeout, lambda: self._execute(batch))
        except Exception as error:
            # Pending calls fail too: each would wait for a timeout of its own.
            batch, self._pending = [*batch, *self._pending], []
            results = [error] * len(batch)
        for call, result in zip(batch, results, strict=True):
            if call.result.done():
                continue
            if isinstance(result, Exception):
                call.result.set_exception(result)
            else:
                call.result.set_result(result)

    async def _execute(self, batch: Sequence[_Call]) -> list[Any]:
        results = await self._round_trip(batch)
        unknown = [n for n, result in enumerate(results) if isinstance(result, self._no_script)]
        if unknown:
            for text in {batch[n].script.text for n in unknown}:
                await self._redis.script_load(text)
            retried = await self._round_trip([batch[n] for n in unknown])
            for n, result in zip(unknown, retried, strict=True):
                results[n] = result
        return results

    async def _round_trip(self, batch: Sequence[_Call]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for call in batch:
            keys = call.keys
            pipeline.execute_command(
                "EVALSHA", call.script.digest, len(keys), *keys, *call.arguments
            )
        return list(await pipeline.execute(raise_on_error=False))


async def within(seconds: float, work: Callable[[], Awaitable[T]]) -> T:
    """The result of the work. Raises TimeoutError after `seconds`, not counting a blocked event loop."""
    task = asyncio.ensure_future(work())
    try:
        for _ in range(_SLICES):
            if (await asyncio.wait({task}, timeout=seconds / _SLICES))[0]:
                return task.result()
        raise TimeoutError
    finally:
        task.cancel()
