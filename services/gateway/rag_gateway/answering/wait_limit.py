"""How long a search may wait for a slot: longer in a burst than in a lasting overload."""

import time
from collections.abc import Callable

# It is an overload if for so long every search has waited for longer than this share of the longest wait.
_INTERVAL_SECONDS = 1.0
_LATE = 0.2
# It has ended once so few of an interval's searches are refused.
_FEW_REFUSED = 0.1


class WaitLimit:
    """The longest wait in seconds: `burst`, and `overloaded` while there is an overload.

    A queue that lasts makes every search late without serving more of them, so it has to be short; one
    that fills for a moment is what a queue is for. (The rule is that of CoDel: Nichols and Jacobson,
    "Controlling Queue Delay", ACM Queue 10/5, 2012. While the queue is kept short nobody is late, so that
    the end of an overload is seen by the refused searches.)
    """

    def __init__(
        self, burst: float, overloaded: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst = burst
        self._short = min(overloaded, burst)
        self._clock = clock
        self._overloaded = False
        # Since when every search has been late, None if the last one was not.
        self._late_since: float | None = None
        self._window = clock()
        self._arrived = self._refused = 0

    def admitted(self, waited: float) -> None:
        """Note that a search begins, after so many seconds of waiting."""
        if waited <= _LATE * self._burst:
            self._late_since = None
        elif self._late_since is None:
            self._late_since = self._clock()

    def arrived(self) -> None:
        """Count a search."""
        self._settle()
        self._arrived += 1

    def refused(self) -> None:
        """Count a search that is refused."""
        self._refused += 1

    @property
    def overloaded(self) -> bool:
        """Whether there is an overload."""
        self._settle()
        return self._overloaded

    def seconds(self, *, first: bool, search: float) -> float:
        """The longest wait of a search at the moment.

        The `first` of its tenant to wait may wait at least twice as long as one `search` takes: for that
        of another tenant that waits, and for one that runs.
        """
        if not self.overloaded:
            return self._burst
        return min(max(self._short, 2 * search), self._burst) if first else self._short

    def _settle(self) -> None:
        now = self._clock()
        if self._overloaded:
            self._settle_window(now - self._window, now)
        elif self._late_since is not None and now - self._late_since >= _INTERVAL_SECONDS:
            self._overloaded = True
            self._begin_window(now)

    def _settle_window(self, elapsed: float, now: float) -> None:
        if elapsed < _INTERVAL_SECONDS:
            return
        # Nothing has arrived for a whole interval, or few were refused.
        idle = elapsed >= 2 * _INTERVAL_SECONDS
        if idle or self._refused <= _FEW_REFUSED * self._arrived:
            self._overloaded = False
            self._late_since = None
        self._begin_window(now)

    def _begin_window(self, now: float) -> None:
        self._window = now
        self._arrived = self._refused = 0
