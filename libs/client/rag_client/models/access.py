"""Callers, their limits and their credentials as frozen data: durations in seconds, times in UTC."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

QuotaSubject: TypeAlias = Literal["tenant", "credential", "unspecified"]
QuotaUnit: TypeAlias = Literal["requests", "tokens", "concurrent_streams", "unspecified"]


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller as the platform identified it; empty `collections` means all of them."""

    subject: str
    tenant: str
    scopes: tuple[str, ...]
    roles: tuple[str, ...]
    collections: tuple[str, ...]
    credential_id: str
    tier: str


@dataclass(frozen=True, slots=True)
class Quota:
    """One limit and its remaining amount.

    `refill_per_second` is 0 for concurrent streams, which are released when they end. `reset` is the
    number of seconds until the limit is completely refilled, if nothing more is used.
    """

    subject: QuotaSubject
    unit: QuotaUnit
    limit: int
    remaining: int
    refill_per_second: float
    reset: float


@dataclass(frozen=True, slots=True)
class Quotas:
    """The caller's limits.

    `local` is True while one replica counts on its own because the shared store is unavailable.
    """

    quotas: tuple[Quota, ...]
    local: bool


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret; empty `collections` means all of them, None a time that does not apply."""

    api_key_id: str
    display_name: str
    scopes: tuple[str, ...]
    collections: tuple[str, ...]
    created_by: str
    create_time: datetime | None
    expire_time: datetime | None
    last_use_time: datetime | None
    revoke_time: datetime | None


@dataclass(frozen=True, slots=True)
class CreatedApiKey:
    """A new API key. `key` is the secret, which no later call returns."""

    key: str = field(repr=False)
    api_key: ApiKey


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A signed token, the id by which it can be revoked, and its expiry."""

    token: str = field(repr=False)
    token_id: str
    expire_time: datetime
