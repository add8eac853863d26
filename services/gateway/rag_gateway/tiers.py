"""Limits as data: what a tenant and each of its credentials may use, by tier, and what is left of it."""

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from rag_common.context import Principal
from rag_gateway.buckets import EPSILON, Bucket, reset

_PLAIN = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class Subject(Enum):
    """Whom a limit counts."""

    TENANT = "tenant"
    CREDENTIAL = "credential"


class Unit(Enum):
    """What a limit counts."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    CONCURRENT_STREAMS = "concurrent_streams"


@dataclass(frozen=True, slots=True)
class Rate:
    """Most units at once, and units that come back a second."""

    capacity: int
    refill: float


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one subject; None is no limit."""

    requests: Rate | None = None
    tokens: Rate | None = None
    concurrent_streams: int | None = None


@dataclass(frozen=True, slots=True)
class Tier:
    """The limits of a tenant as a whole, and those of each of its credentials."""

    tenant: Limits
    credential: Limits


class Tiers(Protocol):
    """Knows the limits of each tenant, by itself or by the tier that its credential names."""

    def of(self, tenant: str, named: str) -> Tier: ...


@dataclass(frozen=True, slots=True)
class Line:
    """One limit of a caller, and the bucket that keeps it; `holder` is the subject's id."""

    subject: Subject
    holder: str
    unit: Unit
    bucket: Bucket


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit and what is left of it; `reset` in seconds until all of it is there again."""

    subject: Subject
    unit: Unit
    limit: int
    remaining: int
    refill: float
    reset: float


def lines(principal: Principal, tier: Tier) -> Iterator[Line]:
    """The limits that the caller is under: the tenant's, then those of a credential that has an id."""
    yield from _of(Subject.TENANT, principal.tenant, "tenant", tier.tenant)
    if principal.credential:
        name = f"credential:{_short(principal.credential)}"
        yield from _of(Subject.CREDENTIAL, principal.credential, name, tier.credential)


def quota(line: Line, level: float) -> Quota:
    """The limit where so much is left in its bucket."""
    return Quota(
        line.subject,
        line.unit,
        limit=int(line.bucket.capacity),
        remaining=max(0, math.floor(level + EPSILON)),
        refill=line.bucket.refill,
        reset=reset(line.bucket, level),
    )


def _of(subject: Subject, holder: str, name: str, limits: Limits) -> Iterator[Line]:
    for unit, rate in ((Unit.REQUESTS, limits.requests), (Unit.TOKENS, limits.tokens)):
        if rate:
            bucket = Bucket(f"{name}:{unit.value}", rate.capacity, rate.refill)
            yield Line(subject, holder, unit, bucket)
    if limits.concurrent_streams:
        unit = Unit.CONCURRENT_STREAMS
        bucket = Bucket(f"{name}:{unit.value}", limits.concurrent_streams, held=True)
        yield Line(subject, holder, unit, bucket)


def _short(credential: str) -> str:
    """The id where it is plain, else its digest: a foreign issuer's `jti` may be any text."""
    if _PLAIN.fullmatch(credential):
        return credential
    return hashlib.sha256(credential.encode()).hexdigest()[:32]
