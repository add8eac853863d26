"""An issuer of tokens with real keys, and the file in which it publishes them."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

Key = Ed25519PrivateKey | ec.EllipticCurvePrivateKey


class Issuer:
    """Signs with one key, by default an Ed25519 one."""

    def __init__(self, kid: str = "one", key: Key | None = None) -> None:
        self.kid = kid
        self.key = key or Ed25519PrivateKey.generate()

    @property
    def algorithm(self) -> str:
        return "EdDSA" if isinstance(self.key, Ed25519PrivateKey) else "ES256"

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key as a JWKS holds it."""
        public: Any = self.key.public_key()
        maker = OKPAlgorithm if self.algorithm == "EdDSA" else ECAlgorithm
        return {**maker.to_jwk(public, as_dict=True), "kid": self.kid, "use": "sig"}

    @property
    def public_bytes(self) -> bytes:
        """The raw public key, as anybody can read it in the JWKS."""
        return base64.urlsafe_b64decode(self.jwk["x"] + "==")

    def token(self, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token; a claim of None is left out."""
        now = int(time.time())
        payload = {
            "iss": "issuer",
            "aud": "rag",
            "sub": "kim",
            "tenant": "acme",
            "scope": "search answer",
            "iat": now,
            "exp": now + 600,
            **claims,
        }
        kept = {name: value for name, value in payload.items() if value is not None}
        return jwt.encode(kept, self.key, self.algorithm, {"kid": self.kid, **(headers or {})})


def publish(path: Path, *issuers: Issuer) -> None:
    """Make this the JWKS of these issuers."""
    write(path, json.dumps({"keys": [issuer.jwk for issuer in issuers]}))


def write(path: Path, text: str | None) -> None:
    """Make this what the file holds; None removes it."""
    if text is None:
        path.unlink()
    else:
        path.write_text(text)


def read(path: Path) -> bytes:
    """What the file holds; nothing where there is none."""
    return path.read_bytes() if path.is_file() else b""
