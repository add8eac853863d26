"""Idempotency keys: run a request once per `request_id`, replay the stored response to retries."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

from rag_common.aio import BackgroundTasks, periodic
from rag_common.context import Principal
from rag_contract import errors
from rag_gateway.leases import Lease

T = TypeVar("T")

# Seconds after which a client should retry while the first call is still running.
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Key:
    """Identifies a request that must not run twice; `request_id` is chosen by the caller."""

    tenant: str
    method: str
    request_id: str


class State(Enum):
    """The state of a key. The values are stored in Redis."""

    CLAIMED = "claimed"  # by this call
    RUNNING = "running"  # claimed by another call
    STORED = "kept"  # done, and the response is stored
    DONE = "done"  # done, and the response is not stored
    OTHER = "other"  # claimed for a different request


@dataclass(frozen=True, slots=True)
class Claim:
    """The result of a claim; `response` is empty unless one is stored."""

    state: State
    response: bytes = b""


class IdempotencyStore(Protocol):
    """Stores claims, and responses for a limited time. No method raises because a store is unavailable."""

    async def claim(self, key: Key, fingerprint: str, lease: Lease) -> Claim:
        """Claim the key for the lease's holder and duration, unless it is claimed."""
        ...

    async def renew(self, key: Key, lease: Lease) -> None:
        """Extend the claim by the lease's duration from now."""
        ...

    async def finish(
        self, key: Key, fingerprint: str, lease: Lease, response: bytes | None
    ) -> None:
        """Record for the lease's duration that the request is done, with its response if there is one."""
        ...

    async def release(self, key: Key, lease: Lease) -> None:
        """Release the key if the holder still has it."""
        ...


@dataclass(frozen=True, slots=True)
class Codec(Generic[T]):
    """Serializes a response and parses it again."""

    dump: Callable[[T], bytes]
    load: Callable[[bytes], T]


@dataclass(frozen=True, slots=True)
class Times:
    """Durations in seconds.

    `lease`: a claim expires without renewal; `retention`: a response is stored; `max_wait`: a retry
    waits for the running first call, checking it every `poll` seconds.
    """

    lease: float = 30.0
    retention: float = 600.0
    max_wait: float = 10.0
    poll: float = 0.1


class Idempotency:
    """Runs each request once per key; responses of up to `max_bytes` are stored for retries.

    A retry that arrives while the first call is running waits for it, for at most `max_wait` seconds and
    never beyond its own deadline, which cancels it. The claim of a crashed replica expires with its
    lease. `on_lookup` is called with whether a stored response was found.
    """

    def __init__(
        self,
        store: IdempotencyStore,
        times: Times | None = None,
        *,
        max_bytes: int = 64 * 1024,
        on_lookup: Callable[[bool], None] = lambda _hit: None,
    ) -> None:
        self._on_lookup = on_lookup
        self._store = store
        self._times = times or Times()
        self._max_bytes = max_bytes
        self._background = BackgroundTasks()

    async def run(
        self,
        key: Key,
        fingerprint: str,
        work: Callable[[], Awaitable[T]],
        codec: Codec[T] | None,
    ) -> T:
        """The response of the work, or the stored one of the first call. Raises RequestIdReused.

        With an empty `request_id` the work is always run. Work that fails or is cancelled releases the
        key. None as `codec` means that the response is a secret: it is not stored, and retries are refused.
        """
        if not key.request_id:
            return await work()
        lease = Lease(secrets.token_hex(8), self._times.lease)
        claim = await self._claim(key, fingerprint, lease)
        self._on_lookup(claim.state is State.STORED)
        if claim.state is State.CLAIMED:
            return await self._run_claimed(key, fingerprint, lease, work, codec)
        if claim.state is State.STORED and codec:
            return codec.load(claim.response)
        raise _refusal(claim.state)

    async def join(self) -> None:
        """Return when all claims of ended calls are finished or released."""
        await self._background.join()

    async def _claim(self, key: Key, fingerprint: str, lease: Lease) -> Claim:
        """Claim the key; while another call is running, retry for at most `max_wait` seconds."""
        end = time.monotonic() + self._times.max_wait

        async def release(claim: Claim) -> None:
            if claim.state is State.CLAIMED:
                await self._store.release(key, lease)

        while True:
            claiming = self._store.claim(key, fingerprint, lease)
            claim = await self._background.acquire(claiming, release)
            if claim.state is not State.RUNNING or time.monotonic() >= end:
                return claim
            await asyncio.sleep(self._times.poll)

    async def _run_claimed(
        self,
        key: Key,
        fingerprint: str,
        lease: Lease,
        work: Callable[[], Awaitable[T]],
        codec: Codec[T] | None,
    ) -> T:
        try:
            async with periodic(lambda: self._store.renew(key, lease), lease.seconds / 3):
                response = await work()
        except BaseException:
            await self._background.run(self._store.release(key, lease))
            raise
        done = Lease(lease.holder, self._times.retention)
        stored = self._serialized(response, codec)
        await self._background.run(self._store.finish(key, fingerprint, done, stored))
        return response

    def _serialized(self, response: T, codec: Codec[T] | None) -> bytes | None:
        """The response as bytes; None if it is a secret or too large to be stored."""
        serialized = codec.dump(response) if codec else b""
        return serialized if codec and len(serialized) <= self._max_bytes else None


def fingerprint(principal: Principal, *parts: bytes) -> str:
    """SHA-256, hexadecimal, of a request's content without its id, and of the caller's subject and collections.

    The caller is included so that a response is not replayed to somebody with access to less.
    """
    collections = principal.collections
    allowed = "*" if collections is None else "\n".join(sorted(collections))
    digest = hashlib.sha256()
    for part in (principal.subject.encode(), allowed.encode(), *parts):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def different_request() -> errors.RequestIdReused:
    """The refusal of a request whose id was used for another one."""
    return errors.RequestIdReused("this request_id was used for a different request")


def _refusal(state: State) -> errors.RequestIdReused:
    match state:
        case State.RUNNING:
            return errors.RequestIdReused(
                "the call with this request_id is still running", retry_after=_RETRY_SECONDS
            )
        case State.OTHER:
            return different_request()
        case _:
            return errors.RequestIdReused(
                "the call with this request_id is done, and its response is not stored"
            )
