"""How long a search may wait for a slot: longer in a burst than in a lasting overload."""

import time
from collections.abc import Callable

# Searches that have waited for so long without a pause are an overload, which ends as slowly.
_INTERVAL_SECONDS = 1.0


class WaitLimit:
    """The longest wait in seconds: `burst`, and `overloaded` while there is an overload.

    A queue that is never empty for a second makes every search late without serving more of them, so it
    has to be short; one that fills for a moment is what a queue is for. (The rule is that of CoDel for
    request queues: Maurer, "Fail at Scale", ACM Queue 13/8, 2015.)
    """

    def __init__(
        self, burst: float, overloaded: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst = burst
        self._short = min(overloaded, burst)
        self._clock = clock
        self._waiting = False
        self._since = clock()
        self._overloaded = False

    def update(self, *, waiting: bool) -> None:
        """Note whether a search waits now; call it at every change."""
        self._settle()
        if waiting != self._waiting:
            self._waiting, self._since = waiting, self._clock()

    @property
    def overloaded(self) -> bool:
        """Whether there is an overload: begun by a second of waiting, ended by a second without."""
        self._settle()
        return self._overloaded

    @property
    def seconds(self) -> float:
        """The longest wait at the moment."""
        return self._short if self.overloaded else self._burst

    def _settle(self) -> None:
        if self._clock() - self._since >= _INTERVAL_SECONDS:
            self._overloaded = self._waiting
