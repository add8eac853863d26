"""Waiting for a condition: by asking again, for a bounded time, and never by guessing how long it takes."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_INTERVAL = 0.02
_PROCESS_INTERVAL = 0.5


async def until(
    condition: Callable[[], T | Awaitable[T]], what: str, *, seconds: float = 60.0
) -> T:
    """The condition's first truthy value. Fails with `what` where none came in time."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        value: T = await result if inspect.isawaitable(result) else result
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        await asyncio.sleep(_INTERVAL)


def wait_until(condition: Callable[[], T], what: str, seconds: float = 60.0) -> T:
    """As `until`, for tests without an event loop; asks twice a second, as each question costs a process."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(_PROCESS_INTERVAL)
    return value
