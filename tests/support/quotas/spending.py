"""Spending as the tests do it: a call, what is left after it, and how it is refused."""

import pytest

from rag_common.context import Principal
from rag_contract import errors
from rag_gateway.quotas.memory import LocalBuckets
from rag_gateway.quotas.service import Cost, Quotas
from rag_gateway.quotas.tiers import Limits, Subject, Tier, Unit
from tests.support.clock import Clock
from tests.support.quotas.stores import OneTier, caller

FREE = Limits()
SEARCH = Cost()


def quotas(
    clock: Clock, tenant: Limits = FREE, credential: Limits = FREE, lease_seconds: float = 30
) -> Quotas:
    tiers = OneTier(Tier(tenant, credential))
    return Quotas(tiers, LocalBuckets(clock), lease_seconds=lease_seconds)


async def left(
    quotas: Quotas,
    unit: Unit,
    subject: Subject = Subject.TENANT,
    principal: Principal | None = None,
) -> int:
    standing = await quotas.status(principal or caller())
    return next(q.remaining for q in standing.quotas if (q.subject, q.unit) == (subject, unit))


async def use(quotas: Quotas, cost: Cost = SEARCH, principal: Principal | None = None) -> None:
    """As the gateway does it: what is never returned is charged, and the rest reserved."""
    if not cost.tokens and not cost.stream:
        await quotas.charge(principal or caller(), cost.requests)
        return
    async with quotas.reserve(principal or caller(), cost):
        pass


async def refusal(
    quotas: Quotas, cost: Cost = SEARCH, principal: Principal | None = None
) -> errors.ResourceExhausted:
    with pytest.raises(errors.ResourceExhausted) as raised:
        await use(quotas, cost, principal)
    return raised.value
