"""The connection to Redis: a bounded pool, credentials that may change while it is in use, short waits."""

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

# User and password as they are at this moment; an empty user is Redis's default one.
Credentials = Callable[[], tuple[str, str]]

# Backstops: what waits for Redis has a shorter time limit of its own, and a circuit (store.py).
_CONNECT_SECONDS = 1.0
_ANSWER_SECONDS = 1.0


@asynccontextmanager
async def connected(
    url: str, *, credentials: Credentials | None = None, ca_file: str = "", connections: int = 4
) -> AsyncIterator[Redis]:
    """A client of the Redis at a `redis://` or `rediss://` URL, which connects when it is first used.

    Each new connection asks for the credentials anew. A connection that turns out to be dead is
    replaced, and its command sent once more; there are no other retries. Raises SettingsInvalid.
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
        raise SettingsInvalid(f"{ca_file}, the roots for Redis, is not a file")
    return options


def _encrypted(url: str) -> bool:
    """Whether the URL is for TLS. Options stand in settings: a URL with any could switch checks off."""
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
            "the URL of Redis has a port or database that is no number"
        ) from error
    return parts.scheme == "rediss"


class _Current(CredentialProvider):
    """Gives each new connection the credentials of that moment."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        user, password = self._credentials()
        return (user, password) if user else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()
