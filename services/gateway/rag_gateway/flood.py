"""The same thing over and over: a few of it are let through, and of the others there is a number."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_MOST_KINDS = 1024


@dataclass(slots=True)
class _Second:
    """What came of one kind since a moment; `held` is how many were not let through."""

    kind: Mapping[str, str]
    began: float
    seen: int = 0
    held: int = 0


class Flood:
    """Lets at most `per_second` of each kind through; `tell` hears how many were held back."""

    def __init__(
        self,
        per_second: int,
        tell: Callable[[Mapping[str, str], int], None],
        clock: Callable[[], float],
    ) -> None:
        self._per_second = per_second
        self._tell = tell
        self._clock = clock
        self._seconds: OrderedDict[tuple[str, ...], _Second] = OrderedDict()

    def passes(self, kind: Mapping[str, str]) -> bool:
        """Whether this one is let through."""
        second = self._second(kind)
        second.seen += 1
        if second.seen <= self._per_second:
            return True
        second.held += 1
        if second.held == 1:
            # It may be the last of its kind, with none after it to tell the number.
            asyncio.get_running_loop().call_later(1.0, self._settle, second)
        return False

    def close(self) -> None:
        """Tell what has not been told."""
        for second in self._seconds.values():
            self._settle(second)
        self._seconds.clear()

    def _second(self, kind: Mapping[str, str]) -> _Second:
        now, name = self._clock(), tuple(f"{key}={value}" for key, value in kind.items())
        second = self._seconds.get(name)
        if second and now - second.began < 1:
            return second
        if second:
            self._settle(second)
        second = self._seconds[name] = _Second(kind, now)
        if len(self._seconds) > _MOST_KINDS:
            self._settle(self._seconds.popitem(last=False)[1])
        return second

    def _settle(self, second: _Second) -> None:
        held, second.held = second.held, 0
        if held:
            self._tell(second.kind, held)
