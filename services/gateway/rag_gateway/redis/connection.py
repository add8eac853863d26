"""A client of the Redis at a URL."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from ssl import TLSVersion
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider

from rag_common.settings import SettingsInvalid

# Returns the current user and password; an empty user means Redis's default user.
Credentials = Callable[[], tuple[str, str]]

# Upper bounds: calls have shorter timeouts of their own and a circuit breaker (circuit.py).
_CONNECT_SECONDS = 1.0
_ANSWER_SECONDS = 1.0


@asynccontextmanager
async def connected(
    url: str, *, credentials: Credentials | None = None, ca_file: str = "", connections: int = 4
) -> AsyncIterator[Redis]:
    """A client of the Redis at a `redis://` or `rediss://` URL, which connects on first use.

    Each new connection reads the current credentials. A broken connection is replaced and its command
    retried once; there are no other retries. Raises SettingsInvalid.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=_ANSWER_SECONDS,
        socket_timeout=_ANSWER_SECONDS,
        socket_connect_timeout=_CONNECT_SECONDS,
        retry=Retry(NoBackoff(), 1),
        protocol=2,
        driver_info=None,
        **_security(url, credentials, ca_file),
    )
    redis = Redis(connection_pool=pool)
    try:
        yield redis
    finally:
        await redis.aclose()
        await pool.disconnect()


def _security(url: str, credentials: Credentials | None, ca_file: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if credentials:
        options["credential_provider"] = _Current(credentials)
    if _encrypted(url):
        options |= {"ssl_ca_certs": ca_file or None, "ssl_min_version": TLSVersion.TLSv1_2}
    if ca_file and not Path(ca_file).is_file():
        raise SettingsInvalid(f"{ca_file}, the CA file for Redis, is not a file")
    return options


def _encrypted(url: str) -> bool:
    """Whether the URL is for TLS. Options in the URL are rejected, as they could disable checks."""
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise SettingsInvalid(
            "the URL of Redis must be redis://host:port/0 or rediss://host:port/0"
        )
    if "@" in parts.netloc or parts.query:
        raise SettingsInvalid("the URL of Redis must hold no user, no password and no options")
    try:
        _ = parts.port, int(parts.path.strip("/") or 0)
    except ValueError as error:
        raise SettingsInvalid(
            "the URL of Redis has a port or database that is not a number"
        ) from error
    return parts.scheme == "rediss"


class _Current(CredentialProvider):
    """Provides each new connection with the current credentials."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        user, password = self._credentials()
        return (user, password) if user else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()
