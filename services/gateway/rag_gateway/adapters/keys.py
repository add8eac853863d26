"""The issuer's public keys: a JWKS from a file or a URL, kept, renewed, and used on when renewal fails."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import structlog

from rag_common import errors

log = structlog.get_logger()

# An unknown key id makes us look again, but no more often than this, whoever sends such tokens.
_LEAST_SECONDS = 5.0
_MOST_BYTES = 256 * 1024

_ALGORITHMS = {("OKP", "Ed25519"): "EdDSA", ("EC", "P-256"): "ES256"}


class Keys:
    """Public keys by key id, each with the one algorithm that its type allows."""

    def __init__(
        self, source: str, max_age: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._max_age = max_age
        self._clock = clock
        self._keys: dict[str, tuple[Any, str]] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def find(self, key_id: str) -> tuple[Any, str]:
        """The key and its algorithm. Raises Unauthenticated where the issuer has no such key."""
        age = self._clock() - self._read_at
        if age > self._max_age or (key_id not in self._keys and age > _LEAST_SECONDS):
            await self.renew()
        if key_id not in self._keys:
            raise errors.Unauthenticated(
                "the token is signed with a key that the issuer does not have"
            )
        return self._keys[key_id]

    async def ready(self) -> None:
        """Return where there are keys. Raises Unavailable."""
        if not self._keys:
            await self.renew()
        if not self._keys:
            raise errors.Unavailable("there are no keys to check tokens with", retry_after=2.0)

    async def renew(self) -> None:
        """Read the keys again; the old ones stay in use where that fails.

        Raises Unavailable where there are no old ones.
        """
        async with self._reading:
            if self._clock() - self._read_at < _LEAST_SECONDS:
                return
            try:
                self._keys = _parse(await self._read())
            except (OSError, ValueError, jwt.PyJWTError) as error:
                log.warning("jwks_unreadable", error=type(error).__name__)
                if not self._keys:
                    raise errors.Unavailable(
                        "the keys that tokens are checked with cannot be read", retry_after=2.0
                    ) from error
            self._read_at = self._clock()

    async def _read(self) -> bytes:
        if self._source.startswith(("http://", "https://")):
            return await _fetch(self._source)
        return await asyncio.to_thread(Path(self._source).read_bytes)


async def _fetch(url: str) -> bytes:
    import httpx

    try:
        async with httpx.AsyncClient(timeout=3.0) as client:
            response = await client.get(url)
            response.raise_for_status()
    except httpx.HTTPError as error:
        raise OSError("the JWKS URL does not answer") from error
    if len(response.content) > _MOST_BYTES:
        raise ValueError("the JWKS is too large")
    return response.content


def _parse(document: bytes) -> dict[str, tuple[Any, str]]:
    found: dict[str, tuple[Any, str]] = {}
    for entry in _entries(json.loads(document)):
        algorithm = _ALGORITHMS.get((str(entry.get("kty")), str(entry.get("crv"))))
        if algorithm and "kid" in entry and "d" not in entry:
            found[entry["kid"]] = (jwt.PyJWK(entry, algorithm).key, algorithm)
    return found


def _entries(document: Any) -> list[dict[str, Any]]:
    """The keys of a JWKS. Raises ValueError where it is not one."""
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("this is no JWKS")
    return entries
