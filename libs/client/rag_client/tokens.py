"""Tokens that change during a client's life: read from a rotated file, or renewed before they expire.

NoToken stands for a missing token, with the reason.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

from rag_client.models.access import IssuedToken

_RENEW_BEFORE = 60.0

Clock: TypeAlias = Callable[[], float]
_FileState: TypeAlias = tuple[int, int, int]


class TokenFile:
    """The token or API key in a file, read again when the file changes.

    While the file cannot be read, for example during its replacement, the last token stays in use. The
    constructor raises OSError if the file cannot be read, and ValueError if it does not hold one token.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = _state(path)
        self._token = _token(path)

    def __call__(self) -> str:
        try:
            state = _state(self._path)
            if state != self._state:
                # The state is read before the content: a change in between is noticed at the next call.
                self._token, self._state = _token(self._path), state
        except (OSError, ValueError):
            # The file may be readable again soon; if not, the gateway refuses the last token with a reason.
            pass
        return self._token


class NoToken:
    """No token: calls are sent without one, and the resulting TokenMissing error states `reason`."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __call__(self) -> str:
        return ""


class RenewedToken:
    """A token from `issue`, renewed one minute before it expires, or at half its lifetime if that is later.

    Threads may share it: one calls `issue`, the others wait for the result. `issue` must not use a
    client that authenticates with this token.
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
                self._renew_at = renewal_time(now, issued.expire_time.timestamp())
            return self._token


class AsyncRenewedToken:
    """A RenewedToken for AsyncClient: `issue` is awaited once, and concurrent callers wait for it."""

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
                self._renew_at = renewal_time(now, issued.expire_time.timestamp())
            return self._token


def renewal_time(now: float, expiry: float) -> float:
    """When to renew a token issued at `now` that expires at `expiry`, in seconds since 1970."""
    return max(expiry - _RENEW_BEFORE, (now + expiry) / 2)


def _state(path: Path) -> _FileState:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _token(path: Path) -> str:
    return parse_token(path.read_bytes().decode("ascii", errors="replace"), str(path))


def parse_token(text: str, source: str) -> str:
    """The token in a text, without surrounding white space. Raises ValueError, which names the source."""
    words = text.split()
    if len(words) != 1 or not words[0].isascii() or not words[0].isprintable():
        raise ValueError(f"{source} does not hold exactly one token")
    return words[0]
