"""The limits of tenants and credentials by tier, and what remains of them."""

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from rag_gateway.quotas.buckets import EPSILON, Bucket, reset

_PLAIN = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class Subject(Enum):
    """Whose usage a limit counts."""

    TENANT = "tenant"
    CREDENTIAL = "credential"


class Unit(Enum):
    """What a limit counts."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    CONCURRENT_STREAMS = "concurrent_streams"


@dataclass(frozen=True, slots=True)
class Rate:
    """The maximum of units at once, and the units refilled a second."""

    capacity: int
    refill: float


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one subject; None means no limit."""

    requests: Rate | None = None
    tokens: Rate | None = None
    concurrent_streams: int | None = None


@dataclass(frozen=True, slots=True)
class Tier:
    """The limits of a tenant, and those of each of its credentials."""

    tenant: Limits
    credential: Limits


class Tiers(Protocol):
    """Returns a tenant's limits, by its configured tier or by the tier that its credential claims."""

    def tier_for(self, tenant: str, claimed: str) -> Tier: ...


@dataclass(frozen=True, slots=True)
class LimitRule:
    """One limit of a caller, and the bucket that counts it; `holder` is the subject's id."""

    subject: Subject
    holder: str
    unit: Unit
    bucket: Bucket


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit and what remains of it; `reset` is in seconds until the bucket is full again."""

    subject: Subject
    unit: Unit
    limit: int
    remaining: int
    refill: float
    reset: float


def limit_rules(tenant: str, credential: str, tier: Tier) -> Iterator[LimitRule]:
    """The limits that apply to a caller: the tenant's, then the credential's if it has an id."""
    yield from _of(Subject.TENANT, tenant, "tenant", tier.tenant)
    if credential:
        name = f"credential:{_short(credential)}"
        yield from _of(Subject.CREDENTIAL, credential, name, tier.credential)


def quota(rule: LimitRule, level: float) -> Quota:
    """The status of a limit whose bucket is at this level."""
    return Quota(
        rule.subject,
        rule.unit,
        limit=int(rule.bucket.capacity),
        remaining=max(0, math.floor(level + EPSILON)),
        refill=rule.bucket.refill,
        reset=reset(rule.bucket, level),
    )


def _of(subject: Subject, holder: str, name: str, limits: Limits) -> Iterator[LimitRule]:
    for unit, rate in ((Unit.REQUESTS, limits.requests), (Unit.TOKENS, limits.tokens)):
        if rate:
            bucket = Bucket(f"{name}:{unit.value}", rate.capacity, rate.refill)
            yield LimitRule(subject, holder, unit, bucket)
    if limits.concurrent_streams:
        unit = Unit.CONCURRENT_STREAMS
        bucket = Bucket(f"{name}:{unit.value}", limits.concurrent_streams, held=True)
        yield LimitRule(subject, holder, unit, bucket)


def _short(credential: str) -> str:
    """The id if it is plain, else its digest: another issuer's `jti` may be any text."""
    if _PLAIN.fullmatch(credential):
        return credential
    return hashlib.sha256(credential.encode()).hexdigest()[:32]
