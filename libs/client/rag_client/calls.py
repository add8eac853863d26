"""How a call is made: who calls, how long it may last, and when it is tried again."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc

from rag_client.options import CallOptions
from rag_common.errors import AppError, Unavailable
from rag_common.rpc.status import DETAILS_KEY, from_rpc_error

DEFAULT_TIMEOUT = 30.0
_PUSHBACK = "grpc-retry-pushback-ms"

Metadata: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Retries:
    """When a read is tried again: on UNAVAILABLE only, at most `attempts` times in all.

    The wait is what the server says, and else doubles from `first_wait` up to `longest_wait`
    seconds; `jitter` gives numbers from 0 to 1, and the wait is drawn between half of that and all
    of it, so that many clients do not come back at once.
    """

    attempts: int = 3
    first_wait: float = 0.1
    longest_wait: float = 2.0
    jitter: Callable[[], float] = random.random

    def wait(self, tried: int, error: grpc.RpcError) -> float | None:
        """Seconds to wait after the attempt number `tried` failed so; None to give up."""
        if tried >= self.attempts or error.code() is not grpc.StatusCode.UNAVAILABLE:
            return None
        pushback = _pushback(error)
        if pushback is not None:
            return pushback if pushback >= 0 else None
        stated = _stated_wait(error)
        if stated is not None:
            return stated
        longest = min(self.first_wait * 2.0 ** (tried - 1), self.longest_wait)
        return longest * (1 + self.jitter()) / 2


NEVER = Retries(attempts=1)


class Attempts:
    """One call's attempts within its deadline."""

    def __init__(
        self, retries: Retries, timeout: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._retries = retries
        self._clock = clock
        self._end = clock() + timeout
        self._tried = 0

    def begin(self) -> float:
        """Counts an attempt; the seconds it may last."""
        self._tried += 1
        return max(self._end - self._clock(), 0.0)

    def wait(self, error: grpc.RpcError) -> float | None:
        """Seconds until the next attempt; None where there is none, or no time for one."""
        wait = self._retries.wait(self._tried, error)
        if wait is None or self._clock() + wait >= self._end:
            return None
        return wait


def attempts(read: bool, retries: Retries, timeout: float, options: CallOptions) -> Attempts:
    """The attempts of one call: its own timeout before the client's, retries for reads alone."""
    own = options.get("timeout")
    return Attempts(retries if read else NEVER, timeout if own is None else own)


def metadata(token: str | None, options: CallOptions) -> Metadata:
    """The headers of a call."""
    headers: list[tuple[str, str]] = []
    if token:
        headers.append(("authorization", f"Bearer {token}"))
    if traceparent := options.get("traceparent"):
        headers.append(("traceparent", traceparent))
    return tuple(headers)


def failure(error: grpc.RpcError) -> AppError:
    """The error that the gateway raised, or what kept it from being asked."""
    if any(sign in (error.details() or "") for sign in _INSECURE):
        return Unavailable(
            "there is no secure connection to the gateway: its certificate must be for this name, "
            "and from the authorities given"
        )
    return from_rpc_error(error, peer="the gateway")


# gRPC has no other word for it than in its text.
_INSECURE = ("Tls handshake failed", "Hostname Verification Check failed")


def _pushback(error: grpc.RpcError) -> float | None:
    """What the server asks of gRPC's own retries, in seconds; negative forbids them."""
    for key, value in _trailers(error):
        if key == _PUSHBACK:
            try:
                return int(value) / 1000
            except ValueError:
                return -1.0
    return None


def _stated_wait(error: grpc.RpcError) -> float | None:
    """The RetryInfo of the error; a connection that failed carries none."""
    if all(key != DETAILS_KEY for key, _ in _trailers(error)):
        return None
    return from_rpc_error(error).retry_after


def _trailers(error: grpc.RpcError) -> Sequence[tuple[str, str | bytes]]:
    # The two flavours of gRPC disagree on the type, and both say None for a call that never was.
    found: Any = error.trailing_metadata()
    return tuple(found or ())
