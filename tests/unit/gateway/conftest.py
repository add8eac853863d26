"""Fixtures of several modules."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rag_gateway.auth.revocations import RevocationCache
from rag_gateway.auth.stores.sqlite import SqliteCredentials


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteCredentials]:
    async with SqliteCredentials(tmp_path / "credentials.sqlite") as store:
        yield store


@pytest.fixture
async def revoked(store: SqliteCredentials) -> RevocationCache:
    """The revoked credentials, read once and for all."""
    revoked = RevocationCache(store, stale=1e9)
    await revoked.refresh()
    return revoked
