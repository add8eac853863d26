"""Puts together what may be used: limits by tier, counted with the other replicas or alone; once is once."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from rag.gateway.v1 import access_service_pb2 as pb
from rag_common import errors
from rag_common.context import Principal
from rag_common.dependency import database
from rag_common.trust import Trust
from rag_gateway.adapters.local.limits import LimitsFile, read
from rag_gateway.adapters.redis.connection import Credentials, connected
from rag_gateway.adapters.redis.sharing import Shared, sharing
from rag_gateway.idempotency import Idempotency, Times
from rag_gateway.instruments import Instruments
from rag_gateway.quotas import Cost, Quotas
from rag_gateway.settings import Settings
from rag_gateway.tiers import Line

# Who has used up everything may still ask what is left, and who it is.
_FREE = frozenset({"GetQuota", "GetIdentity"})


@dataclass(frozen=True, slots=True)
class Allowance:
    """What each caller may use, and what has been done once."""

    limits: LimitsFile
    shared: Shared
    quotas: Quotas
    once: Idempotency

    def __call__(
        self, method: str, principal: Principal, *, streams: bool
    ) -> AbstractAsyncContextManager[object]:
        """What every call uses: itself, and its place among the open streams."""
        free = method.rpartition("/")[2] in _FREE
        return self.quotas.spend(principal, Cost(requests=0 if free else 1, stream=streams))

    def tier(self, principal: Principal) -> str:
        """The name of the caller's tier."""
        return self.limits.name(principal.tenant, principal.tier)

    def away(self) -> list[str]:
        """What replies are marked with while limits are counted by this replica alone."""
        return [] if self.shared.up else ["limits"]

    async def store(self) -> None:
        """Return while what should be shared is. Raises Unavailable."""
        if not self.shared.up:
            raise errors.Unavailable(
                "limits are counted by this replica alone", metadata={"error": self.shared.trouble}
            )

    async def told(self, principal: Principal) -> pb.GetQuotaResponse:
        """What is left of each of the caller's limits."""
        standing = await self.quotas.standing(principal)
        reply = pb.GetQuotaResponse(local=standing.local)
        for quota in standing.quotas:
            row = reply.quotas.add(
                subject=pb.Quota.Subject.Value(f"SUBJECT_{quota.subject.name}"),
                unit=pb.Quota.Unit.Value(f"UNIT_{quota.unit.name}"),
                limit=quota.limit,
                remaining=quota.remaining,
                refill_per_second=quota.refill,
            )
            row.reset.FromMilliseconds(round(quota.reset * 1000))
        return reply


async def allowance(
    stack: AsyncExitStack, settings: Settings, trust: Trust, instruments: Instruments
) -> Allowance:
    """Open it. Raises SettingsInvalid, Unavailable."""
    limits = read(str(settings.limits_file or ""))
    shared = await stack.enter_async_context(
        sharing(
            settings.redis_url,
            credentials=await _credentials(settings, trust),
            ca_file=settings.redis_ca_file,
            prefix=settings.redis_prefix,
            timeout=settings.redis_timeout,
            dependency=database(instruments.metrics.dependencies, "redis"),
        )
    )
    instruments.quota_store_up.set_function(lambda: float(shared.up))
    quotas = Quotas(limits, shared.buckets, refused=_counted(limits, instruments))
    once = Idempotency(
        shared.replies,
        Times(keep=settings.request_id_seconds),
        most_bytes=settings.request_id_bytes,
        looked=instruments.cache("replies"),
    )
    stack.push_async_callback(quotas.settled)
    stack.push_async_callback(once.settled)
    return Allowance(limits, shared, quotas, once)


def _counted(limits: LimitsFile, instruments: Instruments) -> Callable[[Principal, Line], None]:
    def refused(who: Principal, line: Line) -> None:
        tier = limits.name(who.tenant, who.tier)
        instruments.quota_refusals.labels(line.subject.value, line.unit.value, tier).inc()

    return refused


@asynccontextmanager
async def redis(settings: Settings, trust: Trust) -> AsyncIterator[Redis | None]:
    """A connection for what needs longer than a limit does; None where there is no Redis."""
    if not settings.redis_url:
        yield None
        return
    credentials = await _credentials(settings, trust)
    ca_file = settings.redis_ca_file
    async with connected(settings.redis_url, credentials=credentials, ca_file=ca_file) as found:
        yield found


async def _credentials(settings: Settings, trust: Trust) -> Credentials | None:
    if not settings.redis_password.get_secret_value():
        return None
    password = await trust.secret(settings.redis_password, "GATEWAY_REDIS_PASSWORD")
    return lambda: (settings.redis_username, password())
