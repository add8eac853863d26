"""Metadata, deadline, retries and errors of a call."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc

from rag_client.models.options import CallOptions
from rag_client.tokens import NoToken
from rag_client.transport.tracestate import normalize
from rag_contract.errors import (
    AppError,
    Cancelled,
    ConnectionInsecure,
    DependencyDown,
    TokenMissing,
)
from rag_contract.status import DETAILS_KEY, from_rpc_error

DEFAULT_TIMEOUT = 30.0
_PUSHBACK = "grpc-retry-pushback-ms"

Metadata: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Retries:
    """When a read is retried: on UNAVAILABLE only, with at most `attempts` attempts in all.

    While no connection is made there may be `connecting` attempts, which take about three seconds: one
    of several edges may have died, and its address is still given out until that is noticed. The wait is
    the one that the server requests. Without one it doubles from `first_wait` up to `longest_wait`
    seconds, and is multiplied by a factor from 0.5 to 1, so that many clients do not retry at the same
    time; `jitter` returns numbers from 0 to 1 for the factor.
    """

    attempts: int = 3
    connecting: int = 6
    first_wait: float = 0.1
    longest_wait: float = 2.0
    jitter: Callable[[], float] = random.random

    def wait(self, attempt: int, error: grpc.RpcError) -> float | None:
        """Seconds to wait after the failure of attempt number `attempt`; None to give up."""
        limit = self.connecting if _is_unconnected(error) else self.attempts
        if attempt >= limit or error.code() is not grpc.StatusCode.UNAVAILABLE:
            return None
        pushback = _pushback(error)
        if pushback is not None:
            return pushback if pushback >= 0 else None
        stated = _stated_wait(error)
        if stated is not None:
            return stated
        longest = min(self.first_wait * 2.0 ** (attempt - 1), self.longest_wait)
        return longest * (1 + self.jitter()) / 2


NEVER = Retries(attempts=1, connecting=1)


class Attempts:
    """One call's attempts within its deadline."""

    def __init__(
        self, retries: Retries, timeout: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._retries = retries
        self._clock = clock
        self._end = clock() + timeout
        self._attempt = 0

    def start(self) -> float:
        """Count an attempt, and return its timeout in seconds."""
        self._attempt += 1
        return max(self._end - self._clock(), 0.0)

    def wait(self, error: grpc.RpcError) -> float | None:
        """Seconds until the next attempt; None if there is none before the deadline."""
        wait = self._retries.wait(self._attempt, error)
        if wait is None or self._clock() + wait >= self._end:
            return None
        return wait


def attempts(read: bool, retries: Retries, timeout: float, options: CallOptions) -> Attempts:
    """The attempts of one call; its own timeout takes precedence, and only reads are retried."""
    own = options.get("timeout")
    return Attempts(retries if read else NEVER, timeout if own is None else own)


def metadata(token: str | None, options: CallOptions) -> Metadata:
    """The headers of a call."""
    headers: list[tuple[str, str]] = []
    if token:
        headers.append(("authorization", f"Bearer {token}"))
    if traceparent := options.get("traceparent"):
        headers.append(("traceparent", traceparent))
        if state := normalize(options.get("tracestate")):
            headers.append(("tracestate", state))
    return tuple(headers)


def app_error(error: grpc.RpcError, token: object = None) -> AppError:
    """The gateway's error, or the reason why the gateway could not be reached.

    `token` is the client's credential: if it is a NoToken, TokenMissing states where one was searched for.
    """
    if _says(error, _INSECURE):
        return ConnectionInsecure(
            "no secure connection to the gateway: its certificate must be valid for this host name "
            "and signed by a trusted authority"
        )
    result = from_rpc_error(error, peer="the gateway")
    if isinstance(result, TokenMissing) and isinstance(token, NoToken):
        return TokenMissing(f"no token was found: {token.reason}", metadata=result.metadata)
    if isinstance(result, Cancelled):
        # A call cancelled on this side has no status: the server or the connection ended it.
        return DependencyDown(
            "the gateway closed the connection", metadata=result.metadata, retry_after=0.5
        )
    return result


# gRPC reports these failures in the text of its error only.
_INSECURE = ("Tls handshake failed", "Hostname Verification Check failed")
_UNCONNECTED = ("connections to all backends failing", "failed to connect to all addresses")


def _is_unconnected(error: grpc.RpcError) -> bool:
    """Whether no connection was made for the call; a certificate that is refused now is refused again."""
    return _says(error, _UNCONNECTED) and not _says(error, _INSECURE)


def _says(error: grpc.RpcError, texts: Sequence[str]) -> bool:
    details = error.details() or ""
    return any(text in details for text in texts)


def _pushback(error: grpc.RpcError) -> float | None:
    """The retry delay in seconds by gRPC's own trailer; a negative one forbids retries."""
    for key, value in _trailers(error):
        if key == _PUSHBACK:
            try:
                return int(value) / 1000
            except ValueError:
                return -1.0
    return None


def _stated_wait(error: grpc.RpcError) -> float | None:
    """The retry delay of the error's RetryInfo; None for a connection failure, which has none."""
    if all(key != DETAILS_KEY for key, _ in _trailers(error)):
        return None
    return from_rpc_error(error).retry_after


def _trailers(error: grpc.RpcError) -> Sequence[tuple[str, str | bytes]]:
    # grpc and grpc.aio disagree on the type, and both return None for a call that was never sent.
    trailers: Any = error.trailing_metadata()
    return tuple(trailers or ())
