"""An issuer's public keys (JWKS), renewed periodically and used on if renewal fails; and a file signer."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Self

import structlog

from rag_common.aio import repeat
from rag_common.jose import PublicKey, SigningKey, parse_jwks, public_jwks
from rag_contract import errors
from rag_gateway.auth.service import Signer

log = structlog.get_logger()

# Reads a JWKS. Raises OSError or Unavailable if it cannot be read, ValueError if it is not a JWKS.
Source = Callable[[], Awaitable[Mapping[str, Any]]]

PLATFORM_ALGORITHMS = ("EdDSA", "ES256")

# An unknown key id triggers a renewal, but no more often than this, so that callers cannot force more.
_MIN_RENEWAL_SECONDS = 5.0
_RETRY_SECONDS = 15.0
_MAX_STALE_SECONDS = 86_400.0


class KeySet:
    """Public keys by key id, each with the only algorithm that its type allows.

    Keys that could not be renewed for a day are no longer used.
    """

    def __init__(
        self,
        issuer: str,
        source: Source,
        *,
        algorithms: Collection[str] = PLATFORM_ALGORITHMS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._source = source
        self._algorithms = frozenset(algorithms)
        self._clock = clock
        self._keys: dict[str, PublicKey] = {}
        self._read_at = self._attempted_at = float("-inf")
        self._lock = asyncio.Lock()

    async def find(self, key_id: str) -> PublicKey:
        """The key of that id; an unknown key id triggers a renewal.

        Raises Unauthenticated if the issuer has no such key, Unavailable if the keys cannot be read.
        """
        if key_id not in self._keys or self._stale:
            await self.renew()
        if self._stale:
            raise errors.DependencyDown(
                "the keys that tokens are checked with cannot be read", retry_after=2.0
            )
        if key_id not in self._keys:
            raise errors.TokenInvalid(
                "the token is signed with a key that is unknown to its issuer"
            )
        return self._keys[key_id]

    @property
    def age(self) -> float:
        """Seconds since the keys were last read."""
        return self._clock() - self._read_at

    @property
    def usable(self) -> bool:
        """Whether there are keys that are not stale."""
        return bool(self._keys) and not self._stale

    async def ready(self) -> None:
        """Return if there are usable keys. Raises Unavailable."""
        if not self.usable:
            await self.renew()
        if not self.usable:
            raise errors.DependencyDown("there are no keys to check tokens with", retry_after=2.0)

    async def renew(self) -> bool:
        """Read the keys again, unless that was just attempted; on failure the old keys stay.

        Returns whether the last attempt succeeded.
        """
        async with self._lock:
            if self._clock() - self._attempted_at < _MIN_RENEWAL_SECONDS:
                return self._renewed
            try:
                self._keys = parse_jwks(await self._source(), self._algorithms)
            except (OSError, ValueError, errors.Unavailable) as error:
                log.warning("jwks_unreadable", issuer=self._issuer, error=type(error).__name__)
                # Set after the read: callers that waited for a slow source do not each read it again.
                self._attempted_at = self._clock()
                return False
            self._read_at = self._attempted_at = self._clock()
            return True

    async def keep_fresh(self, max_age: float) -> None:
        """Renew the keys every `max_age` seconds, sooner after a failure, until cancelled."""
        await repeat(self.renew, lambda: self._pause(max_age), immediately=True)

    def _pause(self, max_age: float) -> float:
        return max_age if self._renewed else min(max_age, _RETRY_SECONDS)

    @property
    def _renewed(self) -> bool:
        """Whether the last attempt to read the keys succeeded."""
        return self._read_at == self._attempted_at

    @property
    def _stale(self) -> bool:
        return self._clock() - self._read_at > _MAX_STALE_SECONDS


class FileSigner:
    """Signs with the Ed25519 key of a PEM file, for development. The key id is the key's thumbprint."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key

    @classmethod
    async def read(cls, path: Path) -> Self:
        """Read the key. Raises OSError if the file cannot be read or holds no Ed25519 private key."""
        try:
            key = SigningKey.from_pem(await asyncio.to_thread(path.read_bytes))
        except ValueError as error:
            raise OSError(f"{path} is not a PEM file of an Ed25519 private key") from error
        return cls(key)

    async def sign(self, claims: Mapping[str, Any]) -> str:
        """The claims as a signed JWT."""
        return self._key.sign(claims)

    async def jwks(self, *, renew: bool = False) -> Mapping[str, Any]:
        """The public key; it never changes."""
        return {"keys": [self._key.public_jwk()]}


def signed_by(signer: Signer) -> Source:
    """The public keys of the platform's signer, which another replica may have rotated."""

    async def read() -> Mapping[str, Any]:
        return await signer.jwks(renew=True)

    return read


async def jwks_json(source: Source) -> bytes:
    """The content of `/.well-known/jwks.json`. Raises as the source does."""
    return json.dumps(public_jwks(await source()), separators=(",", ":")).encode()
