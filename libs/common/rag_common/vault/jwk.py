"""Public keys of Vault's transit engine as JSON Web Keys."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from rag_common.settings import SettingsInvalid

_COORDINATE_BYTES = 32


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """All versions of a key that signatures are checked with, and the one that is signed with."""

    algorithm: str
    newest: int
    by_version: Mapping[int, Mapping[str, str]]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "SigningKeys":
        """From what transit says of a key. Raises SettingsInvalid for a type that signs no tokens."""
        newest = int(data["latest_version"])
        oldest = max(int(data["min_decryption_version"]), int(data["min_available_version"]), 1)
        members, algorithm = _FORMS.get(str(data["type"]), (None, ""))
        if members is None:
            raise SettingsInvalid(
                f"the transit key is of type {data['type']}: ed25519 and ecdsa-p256 sign tokens"
            )
        found = {
            version: _named(members(data["keys"][str(version)]["public_key"]), algorithm)
            for version in range(oldest, newest + 1)
        }
        return cls(algorithm, newest, found)

    @property
    def key_id(self) -> str:
        """The id of the key that is signed with."""
        return self.by_version[self.newest]["kid"]

    def document(self) -> dict[str, list[dict[str, str]]]:
        """The JWKS, newest first."""
        return {"keys": [dict(self.by_version[v]) for v in sorted(self.by_version, reverse=True)]}


def base64url(data: bytes) -> str:
    """Base64 with the alphabet of URLs and no padding, RFC 7515."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _named(members: dict[str, str], algorithm: str) -> dict[str, str]:
    """With its RFC 7638 thumbprint as id: of the members in lexical order, without white space."""
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True).encode()
    thumbprint = base64url(hashlib.sha256(canonical).digest())
    return {**members, "kid": thumbprint, "alg": algorithm, "use": "sig"}


def _edwards(public: str) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "x": base64url(base64.b64decode(public))}


def _elliptic(public: str) -> dict[str, str]:
    key = load_pem_public_key(public.encode())
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("this is no key of an elliptic curve")
    numbers = key.public_numbers()
    x, y = (base64url(n.to_bytes(_COORDINATE_BYTES, "big")) for n in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


_FORMS = {"ed25519": (_edwards, "EdDSA"), "ecdsa-p256": (_elliptic, "ES256")}
