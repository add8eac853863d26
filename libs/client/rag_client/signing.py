"""Tokens signed with the development key; a deployment gets them from its identity provider."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from rag_client.tokens import renewal

ISSUER = "rag-dev"
AUDIENCE = "rag"
SCOPES = ("search", "answer", "ingest")
ADMIN_SCOPES = (*SCOPES, "admin")


@dataclass(frozen=True, slots=True)
class Claims:
    """Whom a token speaks for, what it allows, and for how many seconds."""

    tenant: str
    scopes: Sequence[str] = SCOPES
    subject: str = "developer"
    ttl: float = 3600.0


def load_key(path: Path) -> Ed25519PrivateKey:
    """The Ed25519 key of a PEM file; raises OSError or ValueError."""
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} holds no Ed25519 private key")
    return key


def sign(key: Ed25519PrivateKey, claims: Claims, now: float) -> str:
    """A JWT with `now` (seconds since 1970) as its time of issue."""
    payload = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": claims.subject,
        "tenant": claims.tenant,
        "scope": " ".join(claims.scopes),
        "iat": int(now),
        "exp": int(now + claims.ttl),
        "jti": secrets.token_hex(16),
    }
    return jwt.encode(payload, key, "EdDSA", headers={"kid": thumbprint(key.public_key())})


def thumbprint(key: Ed25519PublicKey) -> str:
    """The key's id by RFC 7638, over the members that RFC 8037 names for an OKP key."""
    member = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(key.public_bytes_raw())}
    canonical = json.dumps(member, separators=(",", ":"), sort_keys=True)
    return _base64url(hashlib.sha256(canonical.encode()).digest())


class FreshToken:
    """A token that is signed anew a minute before it ends; to be given to a client as its token."""

    def __init__(
        self, key: Ed25519PrivateKey, claims: Claims, clock: Callable[[], float] = time.time
    ) -> None:
        self._key = key
        self._claims = claims
        self._clock = clock
        self._token = ""
        self._renew_at = 0.0

    def __call__(self) -> str:
        now = self._clock()
        if now >= self._renew_at:
            self._token = sign(self._key, self._claims, now)
            self._renew_at = renewal(now, now + self._claims.ttl)
        return self._token


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
