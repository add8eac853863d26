"""The stores of credentials as tests open them: a file, and a real Redis."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from rag_gateway.adapters.credentials.redis import RedisCredentials
from rag_gateway.adapters.credentials.sqlite import SqliteCredentials
from rag_gateway.adapters.redis.connection import connected

Store = SqliteCredentials | RedisCredentials
Open = Callable[[], AbstractAsyncContextManager[Store]]


def in_file(path: Path) -> Open:
    """Opens the file; a second time, as another process on the machine does."""
    return lambda: SqliteCredentials(path)


def in_redis(url: str, prefix: str) -> Open:
    """Opens a connection; a second time, as another replica does."""

    @asynccontextmanager
    async def over_redis() -> AsyncIterator[RedisCredentials]:
        async with connected(url) as client:
            yield RedisCredentials(client, prefix)

    return over_redis
