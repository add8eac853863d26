"""Enough for everyone: what a call may use is taken before its work, and settled by real usage after it."""

import math
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass

from rag_common import errors
from rag_common.context import Principal
from rag_gateway.buckets import Ask, Buckets, Lease, Taken, wait
from rag_gateway.errands import Errands, repeated
from rag_gateway.tiers import Line, Quota, Tiers, Unit, lines, quota


@dataclass(frozen=True, slots=True)
class Cost:
    """What a call takes: `tokens` is the most it may use, prompt and answer together."""

    requests: int = 1
    tokens: int = 0
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """The limits that a caller is under; `local` while this replica's own stand in for shared ones."""

    quotas: tuple[Quota, ...]
    local: bool


class Spent:
    """How many tokens a call has used, as far as it was told."""

    def __init__(self) -> None:
        self.used: int | None = None

    def tokens(self, used: int) -> None:
        """Say how many were used so far, prompt and answer together; the last word counts."""
        self.used = used


@dataclass(frozen=True, slots=True)
class _Hold:
    """What a call has taken."""

    tenant: str
    lines: Sequence[Line]
    asks: Sequence[Ask]
    lease: Lease
    local: bool


class Quotas:
    """Lets a call begin where its tenant and its credential have enough of everything.

    `refused` is told who has not, and of which limit. An estimate of tokens over a bucket's capacity
    reserves all of that bucket, and no more.
    """

    def __init__(
        self,
        tiers: Tiers,
        buckets: Buckets,
        *,
        lease_seconds: float = 30.0,
        refused: Callable[[Principal, Line], None] = lambda _who, _line: None,
    ) -> None:
        self._refused = refused
        self._tiers = tiers
        self._buckets = buckets
        self._lease_seconds = lease_seconds
        self._errands = Errands()

    @asynccontextmanager
    async def spend(self, principal: Principal, cost: Cost) -> AsyncIterator[Spent]:
        """Do the call's work inside. Raises RateLimited, TokenBudget, ResourceExhausted.

        Tokens told to the Spent are what is charged, however the call ends. Where none were told, a
        call that failed is charged none; one that ended, was cancelled or ran out of time is charged
        its estimate. Settling fails no call.
        """
        hold = await self._take(principal, cost)
        spent = Spent()
        try:
            async with self._holding(hold):
                yield spent
        except errors.DeadlineExceeded:
            raise
        except Exception:
            spent.used = spent.used or 0
            raise
        finally:
            await self._settle(hold, spent)

    async def standing(self, principal: Principal) -> Standing:
        """What is left of each of the caller's limits at this moment."""
        found = list(lines(principal, self._tiers.of(principal.tenant, principal.tier)))
        asks = [Ask(line.bucket, 0) for line in found]
        taken = await self._buckets.take(principal.tenant, asks, self._lease())
        quotas = (quota(line, level) for line, level in zip(found, taken.levels, strict=True))
        return Standing(tuple(quotas), taken.local)

    async def settled(self) -> None:
        """Return when nothing is left to settle, as after the last call."""
        await self._errands.done()

    async def _take(self, principal: Principal, cost: Cost) -> _Hold:
        tier = self._tiers.of(principal.tenant, principal.tier)
        asked = [(line, _amount(line, cost)) for line in lines(principal, tier)]
        found = [line for line, amount in asked if amount]
        asks = [Ask(line.bucket, amount) for line, amount in asked if amount]
        lease = self._lease()

        def hold(taken: Taken) -> _Hold:
            return _Hold(principal.tenant, found, asks, lease, taken.local)

        async def undo(taken: Taken) -> None:
            if taken.granted:
                await self._settle(hold(taken), _nothing())

        taking = self._buckets.take(principal.tenant, asks, lease)
        comes_back = cost.tokens or cost.stream
        taken = await (self._errands.obtain(taking, undo) if comes_back else taking)
        if not taken.granted:
            line, seconds = _shortest_supply(found, asks, taken)
            self._refused(principal, line)
            raise _refusal(line, seconds)
        return hold(taken)

    def _holding(self, hold: _Hold) -> AbstractAsyncContextManager[None]:
        held = [ask.bucket for ask in hold.asks if ask.bucket.held]
        if not held:
            return nullcontext()

        async def renew() -> None:
            await self._buckets.renew(hold.tenant, held, hold.lease, local=hold.local)

        return repeated(renew, hold.lease.seconds / 3)

    async def _settle(self, hold: _Hold, spent: Spent) -> None:
        changes = []
        for line, ask in zip(hold.lines, hold.asks, strict=True):
            if ask.bucket.held:
                changes.append(ask)
            elif line.unit is Unit.TOKENS and spent.used is not None:
                changes.append(Ask(ask.bucket, ask.amount - spent.used))
        if changes:
            settling = self._buckets.settle(hold.tenant, changes, hold.lease, local=hold.local)
            await self._errands.finish(settling)

    def _lease(self) -> Lease:
        return Lease(secrets.token_hex(8), self._lease_seconds)


def _nothing() -> Spent:
    spent = Spent()
    spent.tokens(0)
    return spent


def _amount(line: Line, cost: Cost) -> float:
    match line.unit:
        case Unit.REQUESTS:
            return cost.requests
        case Unit.TOKENS:
            return min(cost.tokens, line.bucket.capacity)
        case Unit.CONCURRENT_STREAMS:
            return int(cost.stream)


def _shortest_supply(
    found: Sequence[Line], asks: Sequence[Ask], taken: Taken
) -> tuple[Line, float]:
    """The limit that takes longest, so that one retry is enough, and how many seconds that is."""
    waits = [wait(ask, level) for ask, level in zip(asks, taken.levels, strict=True)]
    return max(zip(found, waits, strict=True), key=lambda pair: pair[1])


def _refusal(line: Line, seconds: float) -> errors.ResourceExhausted:
    kind, sentence = _REFUSALS[line.unit]
    return kind(
        sentence.format(subject=line.subject.value),
        metadata={
            "subject": f"{line.subject.value}:{line.holder}",
            "unit": line.unit.value,
            "limit": str(int(line.bucket.capacity)),
        },
        # Upwards to the millisecond, which is what the wire carries: never too early.
        retry_after=math.ceil(seconds * 1000) / 1000 if math.isfinite(seconds) else None,
    )


_REFUSALS: dict[Unit, tuple[type[errors.ResourceExhausted], str]] = {
    Unit.REQUESTS: (errors.RateLimited, "the {subject} has used up its calls for now"),
    Unit.TOKENS: (errors.TokenBudget, "the {subject} has used up its tokens for now"),
    Unit.CONCURRENT_STREAMS: (
        errors.ResourceExhausted,
        "the {subject} has as many streams open as it may",
    ),
}
