"""Callers, their limits and their credentials, as frozen data: spans in seconds, moments in UTC."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

QuotaSubject: TypeAlias = Literal["tenant", "credential", "unspecified"]
QuotaUnit: TypeAlias = Literal["requests", "tokens", "concurrent_streams", "unspecified"]


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller as the platform sees it; `collections` is empty where all may be used."""

    subject: str
    tenant: str
    scopes: tuple[str, ...]
    roles: tuple[str, ...]
    collections: tuple[str, ...]
    credential_id: str
    tier: str


@dataclass(frozen=True, slots=True)
class Quota:
    """One limit: how much there is at most, and what is left of it.

    `refill_per_second` is 0 for streams, which come back as they end; in `reset` seconds all of it
    is there again, if nothing more is used.
    """

    subject: QuotaSubject
    unit: QuotaUnit
    limit: int
    remaining: int
    refill_per_second: float
    reset: float


@dataclass(frozen=True, slots=True)
class Quotas:
    """The limits that the caller is under.

    `local` while they are one replica's own, because the store that all share does not answer.
    """

    quotas: tuple[Quota, ...]
    local: bool


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of an API key; `collections` is empty where it opens all."""

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
    """A new key, in this reply and nowhere else, and what is known of it from now on."""

    key: str = field(repr=False)
    api_key: ApiKey


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A signed token, the id by which it can be revoked, and when it ends."""

    token: str = field(repr=False)
    token_id: str
    expire_time: datetime
