"""Credentials in a SQLite file: for one machine. Nothing but this gateway's user can read it."""

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from rag_common import errors
from rag_gateway.adapters.credentials.rows import INSERT, SCHEMA, ms, row
from rag_gateway.adapters.credentials.rows import key as _key
from rag_gateway.credentials import ApiKey, Revocation, Revocations, key_name

T = TypeVar("T")

# Dead keys are still listed for this long.
_KEPT_SECONDS = 30 * 86_400
_BUSY_SECONDS = 2.0


class SqliteCredentials:
    """One connection, used by one thread at a time; every write is on the disk when it returns."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._open: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        """Raises OSError where there is no such file to be had, or it holds something else."""
        await asyncio.to_thread(self._connect)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self._close)

    async def add(self, key: ApiKey, most: int) -> None:
        """Keep a new key. Raises ResourceExhausted where the tenant has `most`, Unavailable."""

        def write(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM keys WHERE expires < ?", (ms(self._clock() - _KEPT_SECONDS),))
            counted = db.execute("SELECT count(*) FROM keys WHERE tenant = ?", (key.tenant,))
            if counted.fetchone()[0] >= most:
                raise errors.ResourceExhausted(
                    f"the tenant has {most} API keys, and may not have more"
                )
            db.execute(INSERT, row(key))

        await self._do(write)

    async def find(self, key_id: str) -> ApiKey | None:
        """The key of that id. Raises Unavailable."""
        return await self._do(lambda db: _one(db, "SELECT * FROM keys WHERE id = ?", key_id))

    async def page(
        self, tenant: str, size: int, after: tuple[float, str] | None
    ) -> Sequence[ApiKey]:
        """The tenant's keys, newest first. Raises Unavailable."""
        created, key_id = after or (2.0**42, "")
        query = (
            "SELECT * FROM keys WHERE tenant = ? AND (created, id) < (?, ?)"
            " ORDER BY created DESC, id DESC LIMIT ?"
        )
        given = (tenant, ms(created), key_id, size)
        return await self._do(lambda db: [_key(found) for found in db.execute(query, given)])

    async def revoke(self, tenant: str, key_id: str, now: float) -> ApiKey | None:
        """The key, revoked; None where the tenant has none of that id. Raises Unavailable."""

        def write(db: sqlite3.Connection) -> ApiKey | None:
            query = "SELECT * FROM keys WHERE id = ? AND tenant = ?"
            found = _one(db, query, key_id, tenant)
            if found is None or found.revoked is not None:
                return found
            db.execute("UPDATE keys SET revoked = ? WHERE id = ?", (ms(now), key_id))
            _append(db, "", Revocation(key_name(key_id), found.expires), now)
            return _one(db, query, key_id, tenant)

        return await self._do(write)

    async def used(self, times: Mapping[str, float]) -> None:
        """Note last uses. Raises Unavailable."""
        rows = [(ms(at), key_id) for key_id, at in times.items()]
        query = "UPDATE keys SET last_used = max(coalesce(last_used, 0), ?) WHERE id = ?"
        await self._do(lambda db: db.executemany(query, rows))

    async def refuse(self, tenant: str, revocation: Revocation, now: float, most: int) -> None:
        """Refuse a token. Raises ResourceExhausted where `most` are refused already, Unavailable."""

        def write(db: sqlite3.Connection) -> None:
            counted = db.execute(
                "SELECT count(*) FROM revocations WHERE tenant = ? AND until > ? AND name != ?",
                (tenant, ms(now), revocation.name),
            )
            if counted.fetchone()[0] >= most:
                raise errors.ResourceExhausted(
                    f"the tenant has {most} revoked tokens, and may not have more"
                )
            _append(db, tenant, revocation, now)

        await self._do(write)

    async def revocations(self, after: int, size: int) -> Revocations:
        """What was revoked after a place in the log. Raises Unavailable."""

        def read(db: sqlite3.Connection) -> Revocations:
            query = (
                "SELECT place, name, until FROM revocations WHERE place > ? ORDER BY place LIMIT ?"
            )
            rows = db.execute(query, (after, size)).fetchall()
            last = db.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = 'revocations'"
            ).fetchone()
            found = tuple(Revocation(row["name"], row["until"] / 1000) for row in rows)
            full = len(rows) == size
            return Revocations(found, rows[-1]["place"] if full else last[0] if last else 0)

        return await self._do(read)

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.to_thread(self._transact, work)

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            if self._open is None:
                raise errors.Unavailable("the store of credentials is closed", retry_after=1.0)
            try:
                with self._open as db:
                    db.execute("BEGIN IMMEDIATE")
                    return work(db)
            except sqlite3.Error as error:
                raise errors.Unavailable(
                    "the store of credentials does not answer", retry_after=1.0
                ) from error

    def _connect(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The file is there with its mode before anything is written; what SQLite puts beside it follows.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._path.chmod(0o600)
        try:
            db = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.executescript(SCHEMA)
        except sqlite3.Error as error:
            raise OSError(f"{self._path} cannot be used for credentials: {error}") from error
        self._open = db

    def _close(self) -> None:
        with self._lock:
            if self._open:
                self._open.close()
            self._open = None


def _append(db: sqlite3.Connection, tenant: str, revocation: Revocation, now: float) -> None:
    """At the end of the log, from which what has ended by itself is taken."""
    db.execute("DELETE FROM revocations WHERE until < ? OR name = ?", (ms(now), revocation.name))
    db.execute(
        "INSERT INTO revocations (name, tenant, until) VALUES (?, ?, ?)",
        (revocation.name, tenant, ms(revocation.until)),
    )


def _one(db: sqlite3.Connection, query: str, *given: str) -> ApiKey | None:
    row = db.execute(query, given).fetchone()
    return _key(row) if row else None
