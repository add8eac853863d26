"""Tokens signed with the development key; deployments get theirs from an identity provider."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jwt
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry

from rag_client.models.access import IssuedToken
from rag_client.tokens import RenewedToken

ISSUER = "rag-dev"
AUDIENCE = "rag"
SCOPES = ("search", "answer", "ingest")
ADMIN_SCOPES = (*SCOPES, "admin")


@dataclass(frozen=True, slots=True)
class Claims:
    """The tenant, scopes, subject and lifetime (in seconds) of a token."""

    tenant: str
    scopes: Sequence[str] = SCOPES
    subject: str = "developer"
    ttl: float = 3600.0


def load_key(path: Path) -> Ed25519PrivateKey:
    """The Ed25519 key in a PEM file. Raises OSError or ValueError."""
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} does not hold an Ed25519 private key")
    return key


def sign(key: Ed25519PrivateKey, claims: Claims, now: float) -> str:
    """A JWT issued at `now`, in seconds since 1970."""
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
    signing_key = OKPKey.import_key(key)
    header = {"alg": "EdDSA", "kid": signing_key.thumbprint()}
    return jwt.encode(header, payload, signing_key, registry=_EdDSA())


def thumbprint(key: Ed25519PublicKey) -> str:
    """The key's id by RFC 7638."""
    return OKPKey.import_key(key).thumbprint()


def fresh_token(
    key: Ed25519PrivateKey, claims: Claims, clock: Callable[[], float] = time.time
) -> RenewedToken:
    """A token for a client, signed anew one minute before it expires."""

    def issue() -> IssuedToken:
        now = clock()
        expiry = datetime.fromtimestamp(now + claims.ttl, UTC)
        return IssuedToken(sign(key, claims, now), "", expiry)

    return RenewedToken(issue, clock)


class _EdDSA(JWSRegistry):
    """Signs by the name EdDSA without joserfc's warning that RFC 9864 prefers the name Ed25519."""

    def get_alg(self, name: str) -> Any:
        """The algorithm of that name."""
        return self.algorithms[name]
