"""A development key pair and its JWKS, made once. Not for production: there keys come from Vault."""

import base64
import hashlib
import json
import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def ensure(folder: Path) -> Path:
    """The private key's file; `jwks.json` beside it holds the public key. Both made where missing."""
    private, public = folder / "dev.pem", folder / "jwks.json"
    if not (private.is_file() and public.is_file()):
        folder.mkdir(parents=True, exist_ok=True)
        key = Ed25519PrivateKey.generate()
        _write_private(private, key)
        public.write_text(json.dumps({"keys": [_jwk(key)]}, indent=2) + "\n")
    return private


def _write_private(path: Path, key: Ed25519PrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)


def _jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": _base64(raw)}
    # The key id is the RFC 7638 thumbprint: members in lexical order, no white space.
    canonical = json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode()
    thumbprint = _base64(hashlib.sha256(canonical).digest())
    return {**jwk, "kid": thumbprint, "alg": "EdDSA", "use": "sig"}


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
