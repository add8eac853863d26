"""Connects to Redis as configured: the store that replicas share, and a plain connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from rag_common.identity import ServiceIdentity
from rag_common.observability.dependency import Dependency
from rag_gateway.redis.circuit import SharedStore, monitored
from rag_gateway.settings import Settings

# The client is imported when one is opened: it takes 70 ms, and a gateway on a laptop has no Redis.
if TYPE_CHECKING:
    from redis.asyncio import Redis

    from rag_gateway.redis.connection import Credentials


@asynccontextmanager
async def shared_store(
    settings: Settings, trust: ServiceIdentity, dependency: Dependency
) -> AsyncIterator[SharedStore | None]:
    """The store that all replicas share; None if no Redis is configured, as on a laptop.

    Raises SettingsInvalid, Unavailable.
    """
    if not settings.redis_url:
        yield None
        return
    async with open_store(
        settings.redis_url,
        dependency,
        credentials=await _credentials(settings, trust),
        ca_file=settings.redis_ca_file,
        prefix=settings.redis_prefix,
        timeout=settings.redis_timeout,
    ) as store:
        yield store


@asynccontextmanager
async def open_store(
    url: str,
    dependency: Dependency,
    *,
    credentials: Credentials | None = None,
    ca_file: str = "",
    prefix: str = "rag:",
    timeout: float = 0.05,
    retry_seconds: float = 1.0,
) -> AsyncIterator[SharedStore]:
    """The store at a URL; while it is unavailable it is retried every `retry_seconds`.

    A call waits `timeout` seconds at most. Raises SettingsInvalid.
    """
    from rag_gateway.redis.connection import connected

    async with (
        connected(url, credentials=credentials, ca_file=ca_file) as redis,
        monitored(SharedStore(redis, prefix, dependency, timeout=timeout), retry_seconds) as store,
    ):
        yield store


@asynccontextmanager
async def redis_connection(
    settings: Settings, trust: ServiceIdentity
) -> AsyncIterator[Redis | None]:
    """A connection for commands that may take longer than a quota check; None without a Redis."""
    if not settings.redis_url:
        yield None
        return
    from rag_gateway.redis.connection import connected

    credentials = await _credentials(settings, trust)
    ca_file = settings.redis_ca_file
    async with connected(settings.redis_url, credentials=credentials, ca_file=ca_file) as redis:
        yield redis


async def _credentials(settings: Settings, trust: ServiceIdentity) -> Credentials | None:
    if not settings.redis_password.get_secret_value():
        return None
    password = await trust.secret(settings.redis_password, "GATEWAY_REDIS_PASSWORD")
    return lambda: (settings.redis_username, password())
