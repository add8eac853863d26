"""When to try again: with jitter, so that many replicas do not come at once, and never too often."""

import asyncio
import random
import time
from collections.abc import Callable

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_SHARE, _SPREAD = 2 / 3, 0.1
# A machine that slept wakes up late: time of day is looked at this often.
_LOOK = 30.0


def spread(seconds: float) -> float:
    """The seconds, give or take a tenth."""
    return seconds * random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311 - spreads load


def renewal(seconds: float) -> float:
    """How long to keep what lives for so many seconds before renewing it: two thirds, with jitter."""
    return spread(seconds * _SHARE)


async def reached(due: Callable[[], float]) -> None:
    """Return once `due`, in seconds of Unix time, has come; it may be moved meanwhile."""
    while (left := due() - time.time()) > 0:  # noqa: ASYNC110 - nobody tells that time passed
        await asyncio.sleep(min(left, _LOOK))


class Backoff:
    """Waits that double from half a second to half a minute, with jitter, until a success."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._until = float("-inf")

    @property
    def waiting(self) -> bool:
        """Whether it is too early to try again."""
        return self._clock() < self._until

    def failed(self) -> float:
        """Seconds to wait from now."""
        wait = spread(min(_FIRST_WAIT * 2.0 ** min(self._failures, 10), _LONGEST_WAIT))
        self._failures += 1
        self._until = self._clock() + wait
        return wait

    def succeeded(self) -> None:
        """Begin anew."""
        self._failures = 0
        self._until = float("-inf")
