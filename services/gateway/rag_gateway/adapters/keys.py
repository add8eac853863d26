"""Public keys of an issuer, kept and renewed, and used on when renewal fails; and a signing key of our own."""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Self

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import OKPAlgorithm

from rag_common import errors
from rag_gateway.access import Signer

log = structlog.get_logger()

# Gives a JWKS. Raises OSError or Unavailable where it cannot be had, ValueError where it is none.
Source = Callable[[], Awaitable[Mapping[str, Any]]]
# A key, and the one algorithm that it is for.
Key = tuple[Any, str]

OURS = ("EdDSA", "ES256")

# An unknown key id makes us look again, but no more often than this, whoever sends such tokens.
_LEAST_SECONDS = 5.0
_RETRY_SECONDS = 15.0
_MOST_KEYS = 100
_RSA_BITS = range(2048, 8193)
_ALGORITHMS = {("OKP", "Ed25519"): "EdDSA", ("EC", "P-256"): "ES256", ("RSA", "None"): "RS256"}


class KeySet:
    """Public keys by key id, each with the one algorithm that its type allows.

    Keys that could not be renewed for `max_stale` seconds are used no more.
    """

    def __init__(
        self,
        issuer: str,
        source: Source,
        *,
        algorithms: Collection[str] = OURS,
        max_stale: float = 86_400.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._source = source
        self._algorithms = frozenset(algorithms)
        self._max_stale = max_stale
        self._clock = clock
        self._keys: dict[str, Key] = {}
        self._read_at = self._tried_at = float("-inf")
        self._reading = asyncio.Lock()

    async def find(self, key_id: str) -> Key:
        """The key and its algorithm; reads the keys again for one that is not known.

        Raises Unauthenticated where the issuer has no such key, Unavailable where we cannot know.
        """
        if key_id not in self._keys or self._stale:
            await self.renew()
        if self._stale:
            raise errors.Unavailable(
                "the keys that tokens are checked with cannot be read", retry_after=2.0
            )
        if key_id not in self._keys:
            raise errors.Unauthenticated(
                "the token is signed with a key that the issuer does not have"
            )
        return self._keys[key_id]

    @property
    def age(self) -> float:
        """Seconds since the keys were last read."""
        return self._clock() - self._read_at

    @property
    def usable(self) -> bool:
        """Whether there are keys."""
        return bool(self._keys) and not self._stale

    async def ready(self) -> None:
        """Return where there are keys. Raises Unavailable."""
        if not self.usable:
            await self.renew()
        if not self.usable:
            raise errors.Unavailable("there are no keys to check tokens with", retry_after=2.0)

    async def renew(self) -> bool:
        """Read the keys again, unless that was just tried; the old ones stay where that fails."""
        async with self._reading:
            if self._clock() - self._tried_at < _LEAST_SECONDS:
                return self._read_at == self._tried_at
            try:
                self._keys = _parse(await self._source(), self._algorithms)
            except (OSError, ValueError, errors.Unavailable) as error:
                log.warning("jwks_unreadable", issuer=self._issuer, error=type(error).__name__)
                # From the end: those who waited for a slow source do not each wait for it again.
                self._tried_at = self._clock()
                return False
            self._read_at = self._tried_at = self._clock()
            return True

    async def keep_fresh(self, max_age: float) -> None:
        """Renew the keys every `max_age` seconds, sooner after a failure, for as long as this runs."""
        while True:
            fresh = await self.renew()
            await asyncio.sleep(max_age if fresh else min(max_age, _RETRY_SECONDS))

    @property
    def _stale(self) -> bool:
        return self._clock() - self._read_at > self._max_stale


class FileSigner:
    """Signs with the Ed25519 key of a PEM file: for development. The key's id is its thumbprint."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        jwk = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
        self._key = key
        self._jwk = {**jwk, "kid": _thumbprint(jwk), "alg": "EdDSA", "use": "sig"}

    @classmethod
    async def read(cls, path: Path) -> Self:
        """Raises OSError where the file cannot be read or holds no such key."""
        try:
            pem = await asyncio.to_thread(path.read_bytes)
            key = load_pem_private_key(pem, password=None)
        except ValueError as error:
            raise OSError(f"{path} is not a PEM file of a private key") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise OSError(f"{path} holds no Ed25519 private key")
        return cls(key)

    async def sign(self, claims: Mapping[str, Any]) -> str:
        """The claims as a JWT."""
        return jwt.encode(dict(claims), self._key, "EdDSA", {"kid": self._jwk["kid"]})

    async def jwks(self, *, renew: bool = False) -> Mapping[str, Any]:
        """The public key, which stays what it is."""
        return {"keys": [self._jwk]}


def signed_by(signer: Signer) -> Source:
    """The keys of our own signer, which another replica may have renewed."""

    async def read() -> Mapping[str, Any]:
        return await signer.jwks(renew=True)

    return read


async def jwks_json(signer: Signer) -> bytes:
    """What `/.well-known/jwks.json` answers with. Raises Unavailable."""
    return json.dumps(await signer.jwks(), separators=(",", ":")).encode()


def _thumbprint(jwk: Mapping[str, Any]) -> str:
    """RFC 7638, over the members that RFC 8037 names for an OKP key."""
    members = {name: jwk[name] for name in ("crv", "kty", "x")}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True)
    digest = hashlib.sha256(canonical.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _parse(document: Mapping[str, Any], algorithms: Collection[str]) -> dict[str, Key]:
    """The keys that we can use. Raises ValueError where it is no JWKS, or all of it is broken."""
    entries = document.get("keys")
    if not isinstance(entries, list) or len(entries) > _MOST_KEYS:
        raise ValueError("this is no JWKS, or one too large")
    found: dict[str, Key] = {}
    broken = 0
    for entry in entries:
        try:
            key = _key(entry, algorithms)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
            broken += 1
            continue
        if key:
            found.setdefault(entry["kid"], key)
    if broken and not found:
        raise ValueError("no key of this JWKS can be read")
    return found


def _key(entry: Mapping[str, Any], algorithms: Collection[str]) -> Key | None:
    """The key of an entry; None where it is none of ours to use."""
    algorithm = _ALGORITHMS.get((str(entry.get("kty")), str(entry.get("crv"))))
    if algorithm not in algorithms or entry.get("alg", algorithm) != algorithm or "d" in entry:
        return None
    if entry.get("use", "sig") != "sig" or not isinstance(entry.get("kid"), str):
        return None
    key = jwt.PyJWK(dict(entry), algorithm).key
    if isinstance(key, RSAPublicKey) and key.key_size not in _RSA_BITS:
        return None
    return key, str(algorithm)
