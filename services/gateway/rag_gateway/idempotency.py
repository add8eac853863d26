"""Once and no more: a call that names itself by a request_id is done once, and a repeat gets its reply."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

from rag_common import errors
from rag_common.context import Principal
from rag_gateway.buckets import Lease
from rag_gateway.errands import Errands, repeated

T = TypeVar("T")

# A repeat of a call that takes long comes again after so many seconds.
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Key:
    """What must not be done twice: the tenant's call of a method under an id of the caller's choice."""

    tenant: str
    method: str
    request_id: str


class State(Enum):
    """How it stands with a key that is claimed."""

    CLAIMED = "claimed"  # by the one who asks, just now
    RUNNING = "running"
    KEPT = "kept"  # done, and here is the reply
    DONE = "done"  # done, and the reply was not kept
    OTHER = "other"  # it stands for another request


@dataclass(frozen=True, slots=True)
class Claim:
    """What became of a claim; `reply` where one was kept."""

    state: State
    reply: bytes = b""


class Replies(Protocol):
    """Keeps who does what, and replies for a time. Nothing here raises because a store is away."""

    async def claim(self, key: Key, fingerprint: str, lease: Lease) -> Claim:
        """Claim the key for the lease's holder and time, unless it is claimed."""
        ...

    async def renew(self, key: Key, lease: Lease) -> None:
        """Go on holding the key for the lease's time from now."""
        ...

    async def finish(self, key: Key, fingerprint: str, lease: Lease, reply: bytes | None) -> None:
        """Note that it is done, and keep the reply, for the lease's time from now."""
        ...

    async def free(self, key: Key, lease: Lease) -> None:
        """Give up the key where the holder still has it."""
        ...


@dataclass(frozen=True, slots=True)
class Codec(Generic[T]):
    """A reply as bytes and back."""

    dump: Callable[[T], bytes]
    load: Callable[[bytes], T]


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds: a claim without renewal, a reply kept, a repeat's patience, and between its looks."""

    lease: float = 30.0
    keep: float = 600.0
    patience: float = 10.0
    poll: float = 0.1


class Idempotency:
    """Does each named call once; replies of up to `most_bytes` are kept for repeats.

    A repeat that comes while the first runs waits for it: for its patience, and never beyond its own
    deadline, which cancels it. The claim of a holder that crashes ends with its lease. `looked` is told
    whether a reply was there.
    """

    def __init__(
        self,
        replies: Replies,
        times: Times | None = None,
        *,
        most_bytes: int = 64 * 1024,
        looked: Callable[[bool], None] = lambda _hit: None,
    ) -> None:
        self._looked = looked
        self._replies = replies
        self._times = times or Times()
        self._most_bytes = most_bytes
        self._errands = Errands()

    async def once(
        self,
        key: Key,
        fingerprint: str,
        work: Callable[[], Awaitable[T]],
        codec: Codec[T] | None,
    ) -> T:
        """The reply of the work, or of the same request's first call. Raises RequestIdReused.

        An empty request_id names nothing: the work is done. Work that fails or is cancelled frees the
        id. Without a codec the reply is a secret, is never stored, and a repeat is refused.
        """
        if not key.request_id:
            return await work()
        lease = Lease(secrets.token_hex(8), self._times.lease)
        claim = await self._claim(key, fingerprint, lease)
        self._looked(claim.state is State.KEPT)
        if claim.state is State.CLAIMED:
            return await self._first(key, fingerprint, lease, work, codec)
        if claim.state is State.KEPT and codec:
            return codec.load(claim.reply)
        raise _refusal(claim.state)

    async def settled(self) -> None:
        """Return when every claim is finished or freed, as after the last call."""
        await self._errands.done()

    async def _claim(self, key: Key, fingerprint: str, lease: Lease) -> Claim:
        """The claim once no other is running, or when patience is at its end."""
        end = time.monotonic() + self._times.patience

        async def undo(claim: Claim) -> None:
            if claim.state is State.CLAIMED:
                await self._replies.free(key, lease)

        while True:
            claiming = self._replies.claim(key, fingerprint, lease)
            claim = await self._errands.obtain(claiming, undo)
            if claim.state is not State.RUNNING or time.monotonic() >= end:
                return claim
            await asyncio.sleep(self._times.poll)

    async def _first(
        self,
        key: Key,
        fingerprint: str,
        lease: Lease,
        work: Callable[[], Awaitable[T]],
        codec: Codec[T] | None,
    ) -> T:
        try:
            async with repeated(lambda: self._replies.renew(key, lease), lease.seconds / 3):
                reply = await work()
        except BaseException:
            await self._errands.finish(self._replies.free(key, lease))
            raise
        done = Lease(lease.holder, self._times.keep)
        kept = self._kept(reply, codec)
        await self._errands.finish(self._replies.finish(key, fingerprint, done, kept))
        return reply

    def _kept(self, reply: T, codec: Codec[T] | None) -> bytes | None:
        dumped = codec.dump(reply) if codec else b""
        return dumped if codec and len(dumped) <= self._most_bytes else None


def fingerprint(principal: Principal, *parts: bytes) -> str:
    """What a request is, by its parts without the id: SHA-256, hexadecimal.

    Who asks is part of it: a colleague's reply is not given to one who may see less.
    """
    collections = principal.collections
    opens = "*" if collections is None else "\n".join(sorted(collections))
    digest = hashlib.sha256()
    for part in (principal.subject.encode(), opens.encode(), *parts):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def _refusal(state: State) -> errors.RequestIdReused:
    match state:
        case State.RUNNING:
            return errors.RequestIdReused(
                "the call with this request_id is still running", retry_after=_RETRY_SECONDS
            )
        case State.OTHER:
            return errors.RequestIdReused("this request_id stands for another request")
        case _:
            return errors.RequestIdReused(
                "the call with this request_id is done, and its reply is not kept"
            )
