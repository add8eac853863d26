"""JSON Web Keys, key sets and signed JWTs (RFC 7515, 7517, 7519, 7638), on joserfc.

The key determines the algorithm: a token is refused if its header names another one.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError, UnsupportedHeaderError
from joserfc.registry import Header
from joserfc.util import to_bytes, urlsafe_b64decode, urlsafe_b64encode

_MAX_KEYS = 100
_RSA_BITS = range(2048, 8193)
# By the key type and the curve of a JWK.
_ALGORITHMS = {("OKP", "Ed25519"): "EdDSA", ("EC", "P-256"): "ES256", ("RSA", "None"): "RS256"}


class _Limits(jws.JWSRegistry):
    """joserfc's rules for headers, with our limits; headers with critical extensions are refused."""

    # joserfc allows 512, which a header with a certificate chain exceeds. The transport bounds tokens.
    max_header_length = 8192
    # joserfc allows 1024; the signature of an RSA key of 8192 bits has 1366 characters.
    max_signature_length = 1366

    def __init__(self, algorithms: Collection[str] | None = None) -> None:
        # RFC 7515, section 4: header parameters that are not understood are ignored.
        super().__init__(algorithms=algorithms, strict_check_header=False)

    def check_header(self, header: Header) -> None:
        """Raise JoseError for an invalid header. joserfc itself supports `b64`, which JWTs must not use."""
        if "crit" in header:
            raise UnsupportedHeaderError("critical header parameters are not supported")
        super().check_header(header)


class _OneAlgorithm(_Limits):
    """Allows one algorithm.

    joserfc's registries warn at every use of the name EdDSA, as RFC 9864 prefers Ed25519; but EdDSA is
    the name that Vault and identity providers use.
    """

    def __init__(self, name: str) -> None:
        super().__init__([name])
        self._algorithm = self.algorithms[name]

    def get_alg(self, name: str) -> Any:
        """The algorithm. Raises UnsupportedAlgorithmError for another name."""
        if name != self._algorithm.name:
            raise UnsupportedAlgorithmError(f"the key is not for the algorithm {name}")
        return self._algorithm


_LIMITS = _Limits()
_REGISTRIES = {name: _OneAlgorithm(name) for name in _ALGORITHMS.values()}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key, and the only algorithm that may be used with it."""

    key: jwk.Key
    algorithm: str


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A parsed JWT; only the issuer and the key id can be read before the signature is verified.

    `key_id` is empty if the header has none.
    """

    issuer: Any
    key_id: str
    _jws: jws.CompactSignature = field(repr=False)
    _claims: dict[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a compact JWT. Raises ValueError."""
        try:
            token = jws.extract_compact(text.encode(), registry=_LIMITS)
            claims = json.loads(token.payload)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise ValueError("this is not a JWT") from error
        header: object = token.protected
        key_id = header.get("kid", "") if isinstance(header, dict) else None
        if not isinstance(key_id, str) or not isinstance(claims, dict):
            raise ValueError("this is not a JWT")
        return cls(claims.get("iss"), key_id, token, claims)

    def verify(self, key: PublicKey) -> dict[str, Any]:
        """The claims. Raises ValueError if the key did not sign the token, or not with its algorithm."""
        try:
            registry = _REGISTRIES[key.algorithm]
            valid = jws.validate_compact(self._jws, key.key, registry=registry)
        except (JoseError, ValueError, TypeError) as error:
            raise ValueError("the header or the signature is invalid") from error
        if not valid:
            raise ValueError("the signature is invalid")
        return self._claims


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 private key; its id is the RFC 7638 thumbprint."""

    _key: jwk.OKPKey = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """A new key."""
        return cls(jwk.OKPKey.generate_key("Ed25519"))

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """The key in an unencrypted PEM file. Raises ValueError."""
        try:
            key = jwk.OKPKey.import_key(pem)
        # TypeError: the file is encrypted.
        except (JoseError, ValueError, TypeError) as error:
            raise ValueError("this is not a PEM file of a private key") from error
        if not key.is_private or key.curve_name != "Ed25519":
            raise ValueError("this is not an Ed25519 private key")
        return cls(key)

    def pem(self) -> bytes:
        """The private key as unencrypted PKCS #8."""
        return self._key.as_pem(private=True)

    def public_jwk(self) -> dict[str, str]:
        """The public key."""
        return _public_jwk(self._key)

    def sign(self, claims: Mapping[str, Any]) -> str:
        """The claims as a compact JWT."""
        header = {"alg": "EdDSA", "kid": self._key.thumbprint()}
        return jwt.encode(header, dict(claims), self._key, registry=_REGISTRIES["EdDSA"])


def parse_jwks(document: Mapping[str, Any], algorithms: Collection[str]) -> dict[str, PublicKey]:
    """The usable keys of a JWKS document by key id: public signing keys of these algorithms.

    Raises ValueError if it is not a JWKS, has more than 100 keys, or has malformed keys and no usable one.
    """
    entries = document.get("keys")
    if not isinstance(entries, list) or len(entries) > _MAX_KEYS:
        raise ValueError("this is not a JWKS, or it has too many keys")
    keys: dict[str, PublicKey] = {}
    malformed = 0
    for entry in entries:
        try:
            key = _public_key(entry, algorithms)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            malformed += 1
            continue
        if key:
            keys.setdefault(entry["kid"], key)
    if malformed and not keys:
        raise ValueError("all keys of this JWKS are malformed")
    return keys


def public_jwks(document: Mapping[str, Any]) -> dict[str, Any]:
    """A JWKS of the public members of the document's signing keys. Raises ValueError as `parse_jwks`."""
    keys = parse_jwks(document, _ALGORITHMS.values())
    return {
        "keys": [
            {**key.key.as_dict(private=False), "kid": key_id, "alg": key.algorithm, "use": "sig"}
            for key_id, key in keys.items()
        ]
    }


def ed25519_jwk(raw: bytes) -> dict[str, str]:
    """The JWK of a public Ed25519 key of 32 bytes, with its thumbprint as `kid`. Raises ValueError."""
    return _imported(jwk.OKPKey, {"kty": "OKP", "crv": "Ed25519", "x": base64url(raw)})


def p256_jwk(pem: str) -> dict[str, str]:
    """The JWK of a public P-256 key in PEM, with its thumbprint as `kid`. Raises ValueError."""
    return _imported(jwk.ECKey, pem)


def signing_input(algorithm: str, key_id: str, claims: Mapping[str, Any]) -> str:
    """The header and the claims of a JWT, for a signer that does not disclose its key."""
    header = {"alg": algorithm, "kid": key_id, "typ": "JWT"}
    parts = (
        json.dumps(part, separators=(",", ":"), ensure_ascii=False) for part in (header, claims)
    )
    return ".".join(base64url(part.encode()) for part in parts)


def base64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515)."""
    return urlsafe_b64encode(data).decode()


def base64url_decode(text: str) -> bytes:
    """The bytes of base64url without padding. Raises ValueError."""
    return urlsafe_b64decode(text.encode())


def _public_key(entry: Mapping[str, Any], algorithms: Collection[str]) -> PublicKey | None:
    """The key of an entry; None if it is not a public signing key of these algorithms."""
    algorithm = _ALGORITHMS.get((str(entry.get("kty")), str(entry.get("crv"))))
    if algorithm not in algorithms or entry.get("alg", algorithm) != algorithm or "d" in entry:
        return None
    if entry.get("use", "sig") != "sig" or not isinstance(entry.get("kid"), str):
        return None
    # Before the import, in which joserfc warns of short keys.
    if algorithm == "RS256" and _bits(entry["n"]) not in _RSA_BITS:
        return None
    return PublicKey(jwk.import_key(dict(entry)), str(algorithm))


def _bits(number: str) -> int:
    return int.from_bytes(urlsafe_b64decode(to_bytes(number)), "big").bit_length()


def _imported(kind: type[jwk.OKPKey] | type[jwk.ECKey], value: Any) -> dict[str, str]:
    try:
        return _public_jwk(kind.import_key(value))
    except (JoseError, KeyError) as error:
        raise ValueError("this is not a public key of the expected type") from error


def _public_jwk(key: jwk.OKPKey | jwk.ECKey) -> dict[str, str]:
    members = {name: str(value) for name, value in key.as_dict(private=False).items()}
    algorithm = _ALGORITHMS[members["kty"], members["crv"]]
    return {**members, "kid": key.thumbprint(), "alg": algorithm, "use": "sig"}
