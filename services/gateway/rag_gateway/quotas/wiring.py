"""Builds quotas from the settings, and reports their health and degraded parts."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace

from rag_common.context import Principal
from rag_contract import errors
from rag_gateway.leases import Lease
from rag_gateway.quotas.buckets import Bucket, Buckets, Decision, Request
from rag_gateway.quotas.config import LimitsFile, read
from rag_gateway.quotas.memory import LocalBuckets
from rag_gateway.quotas.redis import RedisBuckets
from rag_gateway.quotas.service import Quotas
from rag_gateway.quotas.tiers import LimitRule
from rag_gateway.redis.circuit import SharedStore, StoreUnavailable
from rag_gateway.settings import Settings
from rag_gateway.telemetry.metrics import GatewayMetrics


class SharedBuckets:
    """Settles with the kind of bucket that granted the units; not at all if that is unavailable meanwhile.

    The shared buckets refill and leases expire, so an amount that was not settled does no lasting harm.
    """

    def __init__(self, shared: RedisBuckets, local: LocalBuckets) -> None:
        self._shared = shared
        self._local = local

    async def acquire(self, group: str, requests: Sequence[Request], lease: Lease) -> Decision:
        """Acquire all requested units or none, from the shared buckets, else from this replica's own."""
        try:
            return await self._shared.acquire(group, requests, lease)
        except StoreUnavailable:
            return replace(await self._local.acquire(group, requests, lease), local=True)

    async def settle(
        self, group: str, changes: Sequence[Request], lease: Lease, *, local: bool
    ) -> None:
        """Settle with the buckets that granted the units."""
        if local:
            await self._local.settle(group, changes, lease)
        else:
            with suppress(StoreUnavailable):
                await self._shared.settle(group, changes, lease)

    async def renew(
        self, group: str, buckets: Sequence[Bucket], lease: Lease, *, local: bool
    ) -> None:
        """Extend the lease in the buckets that granted it."""
        if local:
            await self._local.renew(group, buckets, lease)
        else:
            with suppress(StoreUnavailable):
                await self._shared.renew(group, buckets, lease)


@dataclass(frozen=True, slots=True)
class QuotaGate:
    """Applies the quotas to every call. `store` is None if no Redis is configured."""

    limits: LimitsFile
    buckets: Buckets
    quotas: Quotas
    store: SharedStore | None

    async def count(self, principal: Principal) -> None:
        """Charge one request. Raises RateLimited."""
        await self.quotas.charge(principal)

    def tier(self, principal: Principal) -> str:
        """The name of the caller's tier."""
        return self.limits.tier_name(principal.tenant, principal.tier)

    def degraded_parts(self) -> list[str]:
        """`limits` while this replica counts alone, as the shared store is unavailable; else nothing."""
        return [] if self.store is None or self.store.available else ["limits"]

    async def check_store(self) -> None:
        """Return if the shared store is available, or none is configured. Raises Unavailable."""
        if self.store and not self.store.available:
            raise errors.DependencyDown(
                "limits are counted by this replica alone",
                metadata={"error": self.store.last_error},
            )


def build_quota_gate(
    stack: AsyncExitStack, settings: Settings, store: SharedStore | None, metrics: GatewayMetrics
) -> QuotaGate:
    """The quotas of the limits file, counted in the store or in memory. Raises SettingsInvalid."""
    limits = read(settings.limits_file)
    buckets = build_buckets(store)
    metrics.quota_store_up.set_function(lambda: float(store is None or store.available))
    quotas = Quotas(limits, buckets, refused=_counting_refusals(limits, metrics))
    stack.push_async_callback(quotas.join)
    return QuotaGate(limits, buckets, quotas, store)


def build_buckets(store: SharedStore | None) -> Buckets:
    """Buckets in the store, in memory while it is unavailable; in memory only if there is no store."""
    local = LocalBuckets()
    return SharedBuckets(RedisBuckets(store, store.prefix), local) if store else local


def _counting_refusals(
    limits: LimitsFile, metrics: GatewayMetrics
) -> Callable[[Principal, LimitRule], None]:
    def refused(principal: Principal, rule: LimitRule) -> None:
        tier = limits.tier_name(principal.tenant, principal.tier)
        metrics.quota_refusals.labels(rule.subject.value, rule.unit.value, tier).inc()

    return refused
