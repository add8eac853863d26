"""What checks said: asked within a time, never raising, and with the latest failure remembered."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from rag_common import errors

_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check said last: the class of its error, empty where it passed, and how long it took.

    `since` is when it first said so without a break. `last_error` and `failed` are of the latest
    failure, also when that is over; empty and 0 where there was none. Moments are the clock's.
    """

    error: str
    milliseconds: float
    since: float = 0.0
    last_error: str = ""
    failed: float = 0.0

    def after(self, before: "Outcome | None", now: float) -> "Outcome":
        """The same, with what is known from before."""
        same = before is not None and before.error == self.error
        since = before.since if before and same else now
        if self.error:
            return replace(self, since=since, last_error=self.error, failed=now)
        if before is None:
            return replace(self, since=since)
        return replace(self, since=since, last_error=before.last_error, failed=before.failed)

    def told(self, now: float) -> dict[str, bool | float | str]:
        """What a page shows of it: seconds are those that have passed."""
        shown: dict[str, bool | float | str] = {
            "ok": not self.error,
            "milliseconds": self.milliseconds,
            "since_seconds": round(now - self.since, 1),
        }
        if self.error:
            shown["error"] = self.error
        if self.last_error:
            shown["last_error"] = self.last_error
            shown["last_error_seconds_ago"] = round(now - self.failed, 1)
        return shown


async def outcome(check: Callable[[], Awaitable[None]]) -> Outcome:
    """Ask the check; one that takes over two seconds has failed with a TimeoutError."""
    began = time.monotonic()
    error = ""
    try:
        async with asyncio.timeout(_SECONDS):
            await check()
    except errors.AppError as failure:
        # What lies behind the reason says more to whom mends it.
        error = failure.metadata.get("error") or failure.reason
    except Exception as failure:
        error = type(failure).__name__
    return Outcome(error, round((time.monotonic() - began) * 1000, 2))
