"""Tokens that change while a client lives: from a file that is rotated, or issued anew before they end."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

from rag_client.access.results import IssuedToken

_RENEW_BEFORE = 60.0

Clock: TypeAlias = Callable[[], float]
_Mark: TypeAlias = tuple[int, int, int]


class TokenFile:
    """The token or API key of a file, read again when the file changes.

    A file that cannot be read for a moment, being replaced, leaves the token as it was. Where there
    is none to begin with, raises OSError or ValueError at once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark = _mark(path)
        self._token = _token(path)

    def __call__(self) -> str:
        try:
            mark = _mark(self._path)
            if mark != self._mark:
                # The mark is the older of the two: a change in between is seen at the next call.
                self._token, self._mark = _token(self._path), mark
        except (OSError, ValueError):
            # What the gateway refuses says more than a file that may be back in a moment.
            pass
        return self._token


class RenewedToken:
    """A token that `issue` gives, asked for again a minute before it ends, or half way if that is later.

    Many threads may ask: one issues, the others wait for it. `issue` must not call with this token.
    """

    def __init__(self, issue: Callable[[], IssuedToken], clock: Clock = time.time) -> None:
        self._issue = issue
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at = 0.0

    def __call__(self) -> str:
        with self._lock:
            now = self._clock()
            if now >= self._renew_at:
                issued = self._issue()
                self._token = issued.token
                self._renew_at = renewal(now, issued.expire_time.timestamp())
            return self._token


class AsyncRenewedToken:
    """The same for an AsyncClient: `issue` is awaited, once for all that wait."""

    def __init__(
        self, issue: Callable[[], Awaitable[IssuedToken]], clock: Clock = time.time
    ) -> None:
        self._issue = issue
        self._clock = clock
        self._lock = asyncio.Lock()
        self._token = ""
        self._renew_at = 0.0

    async def __call__(self) -> str:
        async with self._lock:
            now = self._clock()
            if now >= self._renew_at:
                issued = await self._issue()
                self._token = issued.token
                self._renew_at = renewal(now, issued.expire_time.timestamp())
            return self._token


def renewal(now: float, end: float) -> float:
    """When to renew what was issued now and ends then, in seconds since 1970."""
    return max(end - _RENEW_BEFORE, (now + end) / 2)


def _mark(path: Path) -> _Mark:
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _token(path: Path) -> str:
    words = path.read_bytes().decode("ascii", errors="replace").split()
    if len(words) != 1 or not words[0].isascii():
        raise ValueError(f"{path} does not hold one token")
    return words[0]
