"""Log sampling: at most N events per second and key; suppressed events are counted."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_MAX_KEYS = 1024


@dataclass(slots=True)
class _Window:
    """The events of one key in the second that began at `began`, and how many of them were suppressed."""

    key: Mapping[str, str]
    began: float
    events: int = 0
    suppressed: int = 0


class LogSampler:
    """Allows at most `per_second` events of each key; `report` is called with the count of the others."""

    def __init__(
        self,
        per_second: int,
        report: Callable[[Mapping[str, str], int], None],
        clock: Callable[[], float],
    ) -> None:
        self._per_second = per_second
        self._report = report
        self._clock = clock
        self._windows: OrderedDict[tuple[str, ...], _Window] = OrderedDict()

    def allow(self, key: Mapping[str, str]) -> bool:
        """Whether this event should be logged."""
        window = self._window(key)
        window.events += 1
        if window.events <= self._per_second:
            return True
        window.suppressed += 1
        if window.suppressed == 1:
            # The count is reported after a second even if no further event of this key arrives.
            asyncio.get_running_loop().call_later(1.0, self._flush, window)
        return False

    def close(self) -> None:
        """Report all counts that have not been reported."""
        for window in self._windows.values():
            self._flush(window)
        self._windows.clear()

    def _window(self, key: Mapping[str, str]) -> _Window:
        now, identity = self._clock(), tuple(f"{name}={value}" for name, value in key.items())
        window = self._windows.get(identity)
        if window and now - window.began < 1:
            return window
        if window:
            self._flush(window)
        window = self._windows[identity] = _Window(key, now)
        if len(self._windows) > _MAX_KEYS:
            self._flush(self._windows.popitem(last=False)[1])
        return window

    def _flush(self, window: _Window) -> None:
        suppressed, window.suppressed = window.suppressed, 0
        if suppressed:
            self._report(window.key, suppressed)
