"""When to renew a lease or a certificate, and when to try again after a failure."""

import asyncio
import time
from collections.abc import Callable

from rag_common.backoff import exponential, jittered

_MIN_WAIT, _MAX_WAIT = 0.5, 30.0
_RENEWAL_FRACTION = 2 / 3
# A suspended machine wakes up late, so the time of day is checked this often.
_MAX_SLEEP = 30.0


def renewal_delay(seconds: float) -> float:
    """Seconds after which to renew something that lives for `seconds`: two thirds, with jitter."""
    return jittered(seconds * _RENEWAL_FRACTION)


async def sleep_until(due: Callable[[], float]) -> None:
    """Sleep until `due`, in seconds of Unix time, which may change meanwhile."""
    while (left := due() - time.time()) > 0:  # noqa: ASYNC110 - there is no event for passing time
        await asyncio.sleep(min(left, _MAX_SLEEP))


class Backoff:
    """Exponential backoff from 0.5 to 30 seconds, with jitter, until a success."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._until = float("-inf")

    @property
    def waiting(self) -> bool:
        """Whether it is too early for the next attempt."""
        return self._clock() < self._until

    def failed(self) -> float:
        """Record a failure and return the seconds to wait."""
        self._failures += 1
        wait = jittered(exponential(self._failures, _MIN_WAIT, _MAX_WAIT))
        self._until = self._clock() + wait
        return wait

    def succeeded(self) -> None:
        """Reset to the first wait."""
        self._failures = 0
        self._until = float("-inf")
