"""Credentials in a SQLite file, for a single machine; readable by the gateway's user alone."""

import asyncio
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from rag_contract import errors
from rag_gateway.auth.credentials import ApiKey, Revocation, Revocations, key_name

_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, scopes TEXT NOT NULL,
    collections TEXT, created_by TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL,
    digest BLOB NOT NULL, last_used INTEGER, revoked INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS keys_of_tenant ON keys (tenant, created, id);
CREATE TABLE IF NOT EXISTS revocations (
    place INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS revocations_by_end ON revocations (until);
CREATE INDEX IF NOT EXISTS revocations_of_tenant ON revocations (tenant);
"""
_INSERT = "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
T = TypeVar("T")

# Revoked and expired keys are still listed for this long.
_RETENTION_SECONDS = 30 * 86_400
_BUSY_SECONDS = 2.0

_COUNT_USABLE = "SELECT count(*) FROM keys WHERE tenant = ? AND revoked IS NULL AND expires > ?"
# Deletes revoked and expired keys except the newest ones.
_DROP_UNUSABLE = """
    DELETE FROM keys WHERE id IN (
        SELECT id FROM keys WHERE tenant = ? AND (revoked IS NOT NULL OR expires <= ?)
        ORDER BY created DESC, id DESC LIMIT -1 OFFSET ?
    )
"""


def _row(key: ApiKey) -> tuple[Any, ...]:
    """A new key as a row."""
    collections = None if key.collections is None else json.dumps(key.collections)
    fields = (key.key_id, key.tenant, key.display_name, json.dumps(key.scopes), collections)
    return (*fields, key.created_by, _ms(key.created), _ms(key.expires), key.digest, None, None)


def _key(row: sqlite3.Row) -> ApiKey:
    """A row as a key."""
    return ApiKey(
        key_id=row["id"],
        tenant=row["tenant"],
        display_name=row["name"],
        scopes=tuple(json.loads(row["scopes"])),
        collections=None if row["collections"] is None else tuple(json.loads(row["collections"])),
        created_by=row["created_by"],
        created=row["created"] / 1000,
        expires=row["expires"] / 1000,
        digest=row["digest"],
        last_used=None if row["last_used"] is None else row["last_used"] / 1000,
        revoked=None if row["revoked"] is None else row["revoked"] / 1000,
    )


def _ms(seconds: float) -> int:
    """Milliseconds, the unit of stored times."""
    return round(seconds * 1000)


class SqliteCredentials:
    """One connection, used by one thread at a time; a write is durable when the method returns."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        """Open the file. Raises OSError if it cannot be opened or created, or is not such a database."""
        await asyncio.to_thread(self._connect)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._close)

    async def add(self, key: ApiKey, limit: int) -> None:
        """Store a new key. Raises ApiKeyLimit if the tenant has `limit` usable ones, Unavailable."""

        def write(db: sqlite3.Connection) -> None:
            now = _ms(self._clock())
            db.execute("DELETE FROM keys WHERE expires < ?", (now - _ms(_RETENTION_SECONDS),))
            usable = db.execute(_COUNT_USABLE, (key.tenant, now))
            if usable.fetchone()[0] >= limit:
                raise errors.ApiKeyLimit(f"the tenant has {limit} usable API keys, the maximum")
            db.execute(_DROP_UNUSABLE, (key.tenant, now, limit))
            db.execute(_INSERT, _row(key))

        await self._run(write)

    async def find(self, key_id: str) -> ApiKey | None:
        """The key of that id. Raises Unavailable."""
        return await self._run(
            lambda db: _select_key(db, "SELECT * FROM keys WHERE id = ?", key_id)
        )

    async def page(
        self, tenant: str, size: int, after: tuple[float, str] | None
    ) -> Sequence[ApiKey]:
        """The tenant's keys, newest first. Raises Unavailable."""
        created, key_id = after or (2.0**42, "")
        query = (
            "SELECT * FROM keys WHERE tenant = ? AND (created, id) < (?, ?)"
            " ORDER BY created DESC, id DESC LIMIT ?"
        )
        parameters = (tenant, _ms(created), key_id, size)
        return await self._run(lambda db: [_key(row) for row in db.execute(query, parameters)])

    async def revoke(self, tenant: str, key_id: str, now: float) -> ApiKey | None:
        """The key, revoked; None if the tenant has none of that id. Raises Unavailable."""

        def write(db: sqlite3.Connection) -> ApiKey | None:
            query = "SELECT * FROM keys WHERE id = ? AND tenant = ?"
            stored = _select_key(db, query, key_id, tenant)
            if stored is None or stored.revoked is not None:
                return stored
            db.execute("UPDATE keys SET revoked = ? WHERE id = ?", (_ms(now), key_id))
            _append(db, "", Revocation(key_name(key_id), stored.expires), now)
            return _select_key(db, query, key_id, tenant)

        return await self._run(write)

    async def used(self, times: Mapping[str, float]) -> None:
        """Record last uses. Raises Unavailable."""
        rows = [(_ms(at), key_id) for key_id, at in times.items()]
        query = "UPDATE keys SET last_used = max(coalesce(last_used, 0), ?) WHERE id = ?"
        await self._run(lambda db: db.executemany(query, rows))

    async def refuse(self, tenant: str, revocation: Revocation, now: float, limit: int) -> None:
        """Refuse a token. Raises RevokedTokenLimit if `limit` are refused already, Unavailable."""

        def write(db: sqlite3.Connection) -> None:
            usable = db.execute(
                "SELECT count(*) FROM revocations WHERE tenant = ? AND until > ? AND name != ?",
                (tenant, _ms(now), revocation.name),
            )
            if usable.fetchone()[0] >= limit:
                raise errors.RevokedTokenLimit(
                    f"the tenant has {limit} revoked tokens, the maximum"
                )
            _append(db, tenant, revocation, now)

        await self._run(write)

    async def revocations(self, after: int, size: int) -> Revocations:
        """The revocations after a position in the log. Raises Unavailable."""

        def read(db: sqlite3.Connection) -> Revocations:
            query = (
                "SELECT place, name, until FROM revocations WHERE place > ? ORDER BY place LIMIT ?"
            )
            rows = db.execute(query, (after, size)).fetchall()
            last = db.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = 'revocations'"
            ).fetchone()
            items = tuple(Revocation(row["name"], row["until"] / 1000) for row in rows)
            full = len(rows) == size
            return Revocations(items, rows[-1]["place"] if full else last[0] if last else 0)

        return await self._run(read)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.to_thread(self._transaction, work)

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            if self._db is None:
                raise errors.Draining("the credential store is closed", retry_after=1.0)
            try:
                with self._db as db:
                    db.execute("BEGIN IMMEDIATE")
                    return work(db)
            except sqlite3.Error as error:
                raise errors.DependencyDown(
                    "the credential store is unavailable", retry_after=1.0
                ) from error

    def _connect(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The file gets its mode before anything is written; SQLite creates its journal with the same mode.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._path.chmod(0o600)
        try:
            db = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise OSError(f"{self._path} cannot be used for credentials: {error}") from error
        self._db = db

    def _close(self) -> None:
        with self._lock:
            if self._db:
                self._db.close()
            self._db = None


def _append(db: sqlite3.Connection, tenant: str, revocation: Revocation, now: float) -> None:
    """Append to the log, and delete entries of credentials that have expired."""
    db.execute("DELETE FROM revocations WHERE until < ? OR name = ?", (_ms(now), revocation.name))
    db.execute(
        "INSERT INTO revocations (name, tenant, until) VALUES (?, ?, ?)",
        (revocation.name, tenant, _ms(revocation.until)),
    )


def _select_key(db: sqlite3.Connection, query: str, *parameters: str) -> ApiKey | None:
    row = db.execute(query, parameters).fetchone()
    return _key(row) if row else None
