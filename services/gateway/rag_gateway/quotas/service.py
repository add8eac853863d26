"""Token-bucket quotas: reserve the estimated cost before a call, settle the actual cost after it."""

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache

from rag_common.aio import BackgroundTasks, periodic
from rag_common.context import Principal, random_id
from rag_contract import errors
from rag_gateway.leases import Lease
from rag_gateway.quotas.buckets import Buckets, Decision, Request, wait
from rag_gateway.quotas.tiers import LimitRule, Quota, Tiers, Unit, limit_rules, quota

# The rules of this many callers, tenants with their credentials, are kept.
_CACHED_CALLERS = 4096


@dataclass(frozen=True, slots=True)
class Cost:
    """The estimated cost of a call; `tokens` is the maximum of prompt and answer together."""

    requests: int = 1
    tokens: int = 0
    stream: bool = False


@dataclass(frozen=True, slots=True)
class QuotaStatus:
    """The caller's quotas; `local` while this replica counts alone, as the shared store is unavailable."""

    quotas: tuple[Quota, ...]
    local: bool


class Usage:
    """The tokens that a call has used, None until they are recorded."""

    def __init__(self) -> None:
        self.tokens: int | None = None

    def record(self, tokens: int) -> None:
        """Record the tokens used so far, prompt and answer together; the last value counts."""
        self.tokens = tokens


@dataclass(frozen=True, slots=True)
class Reservation:
    """The units that a call has reserved."""

    tenant: str
    rules: Sequence[LimitRule]
    requests: Sequence[Request]
    lease: Lease
    local: bool


class Quotas:
    """Admits a call if its tenant and its credential have enough of every unit.

    `refused` is called with the caller and the limit that is exhausted. An estimate of tokens above a
    bucket's capacity reserves the whole bucket, and no more.
    """

    def __init__(
        self,
        tiers: Tiers,
        buckets: Buckets,
        *,
        lease_seconds: float = 30.0,
        refused: Callable[[Principal, LimitRule], None] = lambda _principal, _rule: None,
    ) -> None:
        self._refused = refused
        self._tiers = tiers
        self._buckets = buckets
        self._lease_seconds = lease_seconds
        self._background = BackgroundTasks()
        self._rules = lru_cache(_CACHED_CALLERS)(self._limit_rules)

    async def charge(self, principal: Principal, requests: int = 1) -> None:
        """Charge requests, of which nothing is ever returned. Raises RateLimited."""
        await self._acquire(principal, Cost(requests))

    @asynccontextmanager
    async def reserve(self, principal: Principal, cost: Cost) -> AsyncIterator[Usage]:
        """Reserve the cost while the block runs. Raises RateLimited, TokenBudget, ResourceExhausted.

        Tokens recorded in the Usage are what is charged, however the call ends. If none are recorded, a
        failed call is charged none; one that succeeded, was cancelled or exceeded its deadline is charged
        its estimate. An error while settling does not fail the call.
        """
        reservation = await self._acquire(principal, cost)
        usage = Usage()
        try:
            async with self._renewing(reservation):
                yield usage
        except errors.DeadlineExceeded:
            raise
        except Exception:
            usage.tokens = usage.tokens or 0
            raise
        finally:
            await self._settle(reservation, usage)

    async def status(self, principal: Principal) -> QuotaStatus:
        """What remains of each of the caller's limits."""
        rules = self._rules(principal.tenant, principal.tier, principal.credential)
        requests = [Request(rule.bucket, 0) for rule in rules]
        decision = await self._buckets.acquire(principal.tenant, requests, self._lease())
        quotas = (quota(rule, level) for rule, level in zip(rules, decision.levels, strict=True))
        return QuotaStatus(tuple(quotas), decision.local)

    async def join(self) -> None:
        """Return when all reservations of ended calls are settled."""
        await self._background.join()

    async def _acquire(self, principal: Principal, cost: Cost) -> Reservation:
        rules: list[LimitRule] = []
        requests: list[Request] = []
        for rule in self._rules(principal.tenant, principal.tier, principal.credential):
            if amount := _amount(rule, cost):
                rules.append(rule)
                requests.append(Request(rule.bucket, amount))
        lease = self._lease()

        def reservation(decision: Decision) -> Reservation:
            return Reservation(principal.tenant, rules, requests, lease, decision.local)

        async def release(decision: Decision) -> None:
            if decision.granted:
                await self._settle(reservation(decision), _unused())

        acquiring = self._buckets.acquire(principal.tenant, requests, lease)
        returnable = cost.tokens or cost.stream
        decision = await (self._background.acquire(acquiring, release) if returnable else acquiring)
        if not decision.granted:
            rule, seconds = _longest_wait(rules, requests, decision)
            self._refused(principal, rule)
            raise _refusal(rule, seconds)
        return reservation(decision)

    def _renewing(self, reservation: Reservation) -> AbstractAsyncContextManager[None]:
        held = [request.bucket for request in reservation.requests if request.bucket.held]
        if not held:
            return nullcontext()

        async def renew() -> None:
            await self._buckets.renew(
                reservation.tenant, held, reservation.lease, local=reservation.local
            )

        return periodic(renew, reservation.lease.seconds / 3)

    async def _settle(self, reservation: Reservation, usage: Usage) -> None:
        changes = []
        for rule, request in zip(reservation.rules, reservation.requests, strict=True):
            if request.bucket.held:
                changes.append(request)
            elif rule.unit is Unit.TOKENS and usage.tokens is not None:
                changes.append(Request(request.bucket, request.amount - usage.tokens))
        if changes:
            settling = self._buckets.settle(
                reservation.tenant, changes, reservation.lease, local=reservation.local
            )
            await self._background.run(settling)

    def _limit_rules(self, tenant: str, tier: str, credential: str) -> tuple[LimitRule, ...]:
        return tuple(limit_rules(tenant, credential, self._tiers.tier_for(tenant, tier)))

    def _lease(self) -> Lease:
        return Lease(random_id(), self._lease_seconds)


def _unused() -> Usage:
    usage = Usage()
    usage.record(0)
    return usage


def _amount(rule: LimitRule, cost: Cost) -> float:
    if rule.unit is Unit.REQUESTS:
        return cost.requests
    if rule.unit is Unit.TOKENS:
        return min(cost.tokens, rule.bucket.capacity)
    return int(cost.stream)


def _longest_wait(
    rules: Sequence[LimitRule], requests: Sequence[Request], decision: Decision
) -> tuple[LimitRule, float]:
    """The limit with the longest wait, after which one retry suffices, and that wait in seconds."""
    waits = [wait(request, level) for request, level in zip(requests, decision.levels, strict=True)]
    return max(zip(rules, waits, strict=True), key=lambda pair: pair[1])


def _refusal(rule: LimitRule, seconds: float) -> errors.ResourceExhausted:
    kind, sentence = _REFUSALS[rule.unit]
    return kind(
        sentence.format(subject=rule.subject.value),
        metadata={
            "subject": f"{rule.subject.value}:{rule.holder}",
            "unit": rule.unit.value,
            "limit": str(int(rule.bucket.capacity)),
        },
        # Rounded up to the millisecond, the precision of the error detail, so that no retry is too early.
        retry_after=math.ceil(seconds * 1000) / 1000 if math.isfinite(seconds) else None,
    )


_REFUSALS: dict[Unit, tuple[type[errors.ResourceExhausted], str]] = {
    Unit.REQUESTS: (errors.RateLimited, "the {subject} has exceeded its rate of requests"),
    Unit.TOKENS: (errors.TokenBudget, "the {subject} has exhausted its budget of tokens"),
    Unit.CONCURRENT_STREAMS: (
        errors.ConcurrencyLimit,
        "the {subject} has reached its limit of concurrent streams",
    ),
}
