"""API keys and revocations as rows of a SQLite file."""

import json
import sqlite3
from typing import Any

from rag_gateway.credentials import ApiKey

SCHEMA = """
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
INSERT = "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


def row(key: ApiKey) -> tuple[Any, ...]:
    """A new key as a row."""
    collections = None if key.collections is None else json.dumps(key.collections)
    facts = (key.key_id, key.tenant, key.display_name, json.dumps(key.scopes), collections)
    return (*facts, key.created_by, ms(key.created), ms(key.expires), key.digest, None, None)


def key(row: sqlite3.Row) -> ApiKey:
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


def ms(seconds: float) -> int:
    """Milliseconds, as times are kept."""
    return round(seconds * 1000)
