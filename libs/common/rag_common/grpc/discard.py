"""Reads and discards what a client still sends after its call has been decided, so that it gets the status."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

# A client that sends nothing for this long is waiting for the reply.
_PAUSE_SECONDS = 0.5
_MAX_BYTES = 64 * 2**20


class Discarder:
    """Reads and discards the rest of requests, of a bounded number of calls at once.

    To a client that is sending, an early end looks like a broken connection: it gets INTERNAL or a
    reset stream instead of the call's status.
    """

    def __init__(self, max_calls: int, seconds: float, max_bytes: int = _MAX_BYTES) -> None:
        """A call beyond `max_calls` is not read; each is read for at most `seconds` and `max_bytes`."""
        self._max_calls = max_calls
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._timers: set[asyncio.Timeout] = set()

    async def discard(self, request: AsyncIterator[bytes]) -> None:
        """Read a stream of messages to its end, the first pause of 0.5 s, or a bound. Raises nothing.

        Returns at once if `max_calls` are being read already.
        """
        if len(self._timers) >= self._max_calls:
            return
        with suppress(Exception):
            async with asyncio.timeout(self._seconds) as timer:
                self._timers.add(timer)
                try:
                    await self._read(request)
                finally:
                    self._timers.discard(timer)

    def hurry(self) -> None:
        """From now on read each call, including those in progress, for no longer than one pause."""
        self._seconds = min(self._seconds, _PAUSE_SECONDS)
        soon = asyncio.get_running_loop().time() + _PAUSE_SECONDS
        for timer in self._timers:
            when = timer.when()
            if not timer.expired() and (when is None or when > soon):
                timer.reschedule(soon)

    async def _read(self, request: AsyncIterator[bytes]) -> None:
        left = self._max_bytes
        while left > 0:
            async with asyncio.timeout(_PAUSE_SECONDS):
                left -= len(await anext(request))
