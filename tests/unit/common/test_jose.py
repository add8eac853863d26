"""JSON Web Keys and tokens: the key determines the algorithm, and malformed input is a ValueError."""

import json
import warnings
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from rag_common import jose
from rag_common.jose import SigningKey, UnverifiedToken, parse_jwks

# The example of RFC 8037, appendix A.
RAW = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a 0ee172f3daa62325af021a68f707511a")
THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
HEADER = jose.base64url(b'{"alg": "EdDSA"}')


@pytest.fixture(autouse=True)
def warnings_are_errors() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def part(text: str) -> str:
    return jose.base64url(text.encode())


def public(key: SigningKey, **members: Any) -> jose.PublicKey:
    [result] = parse_jwks({"keys": [{**key.public_jwk(), **members}]}, ["EdDSA"]).values()
    return result


def test_a_jwk_is_named_by_its_thumbprint() -> None:
    assert jose.ed25519_jwk(RAW) == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "kid": THUMBPRINT,
        "alg": "EdDSA",
        "use": "sig",
    }


def test_a_p256_key_is_the_jwk_that_another_implementation_makes() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    result = jose.p256_jwk(pem)
    assert ECAlgorithm.to_jwk(key, as_dict=True).items() <= result.items()
    assert (result["alg"], result["use"]) == ("ES256", "sig")


@pytest.mark.parametrize("curve", [ec.SECP384R1(), None])
def test_a_key_of_another_type_is_refused(curve: Any) -> None:
    key = ec.generate_private_key(curve) if curve else Ed25519PrivateKey.generate()
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(ValueError, match="type"):
        jose.p256_jwk(pem.decode())


def test_a_signed_token_verifies_here_and_in_another_implementation() -> None:
    key = SigningKey.generate()
    token = key.sign({"sub": "김", "iss": "own"})
    result = UnverifiedToken.parse(token)
    assert (result.issuer, result.key_id) == ("own", key.public_jwk()["kid"])
    assert result.verify(public(key)) == {"sub": "김", "iss": "own"}
    other = jwt.PyJWK(key.public_jwk())
    assert jwt.decode(token, other, ["EdDSA"]) == {"sub": "김", "iss": "own"}


def test_a_key_is_read_back_from_its_pem() -> None:
    key = SigningKey.generate()
    assert SigningKey.from_pem(key.pem()).public_jwk() == key.public_jwk()


def test_another_key_does_not_verify() -> None:
    token = UnverifiedToken.parse(SigningKey.generate().sign({}))
    with pytest.raises(ValueError, match="signature"):
        token.verify(public(SigningKey.generate()))


@pytest.mark.parametrize("algorithm", ["Ed25519", "ES256", "HS256", "none", "", 7, None, ["EdDSA"]])
def test_the_header_does_not_select_the_algorithm(algorithm: Any) -> None:
    key = SigningKey.generate()
    _, claims, signature = key.sign({"sub": "kim"}).split(".")
    header = part(json.dumps({"alg": algorithm, "kid": "k"}))
    with pytest.raises(ValueError, match="header"):
        UnverifiedToken.parse(f"{header}.{claims}.{signature}").verify(public(key))


@pytest.mark.parametrize(
    "extension",
    [
        {"crit": ["b64"], "b64": False},
        {"crit": ["kid"]},
        {"crit": 7},
        {"crit": [[]]},
        {"b64": False},
    ],
)
def test_extensions_are_refused(extension: dict[str, Any]) -> None:
    key = Ed25519PrivateKey.generate()
    header = part(json.dumps({"alg": "EdDSA", "kid": "k", **extension}))
    message = f"{header}.{part('{}')}"
    token = f"{message}.{jose.base64url(key.sign(message.encode()))}"
    entry = jose.ed25519_jwk(key.public_key().public_bytes_raw())
    [result] = parse_jwks({"keys": [entry]}, ["EdDSA"]).values()
    with pytest.raises(ValueError, match=r"JWT|header"):
        UnverifiedToken.parse(token).verify(result)


@pytest.mark.parametrize(
    "header",
    ['["alg"]', '["alg", "b64"]', '"alg"', "7", "null", "{}", "{", '{"alg": "EdDSA", "kid": 7}',
     '{"alg": "EdDSA", "kid": null}', '{"a":' + "[" * 90_000, "{" + " " * 9000 + '"alg": "EdDSA"}'],
)  # fmt: skip
def test_a_malformed_header_is_a_value_error(header: str) -> None:
    with pytest.raises(ValueError, match="JWT"):
        UnverifiedToken.parse(f"{part(header)}.{part('{}')}.{part('x')}")


@pytest.mark.parametrize("claims", ["[]", "7", "", "{", "[" * 90_000, "7" * 5000])
def test_claims_that_are_no_object_are_a_value_error(claims: str) -> None:
    with pytest.raises(ValueError, match="JWT"):
        UnverifiedToken.parse(f"{HEADER}.{part(claims)}.{part('x')}")


def test_a_header_of_another_issuer_s_own_is_ignored() -> None:
    key = Ed25519PrivateKey.generate()
    token = jwt.encode({}, key, "EdDSA", {"org.example": 1, "x5c": ["A" * 2000]})
    entry = jose.ed25519_jwk(key.public_key().public_bytes_raw())
    [result] = parse_jwks({"keys": [entry]}, ["EdDSA"]).values()
    assert UnverifiedToken.parse(token).verify(result) == {}


@pytest.mark.parametrize(("bits", "usable"), [(1024, 0), (2048, 1), (20_000, 0)])
def test_rsa_keys_have_bounds(bits: int, usable: int) -> None:
    if bits > 8192:
        entry = {"kty": "RSA", "e": "AQAB", "n": jose.base64url(b"\xff" * (bits // 8))}
    else:
        key = rsa.generate_private_key(65537, bits).public_key()
        entry = dict(RSAAlgorithm.to_jwk(key, as_dict=True))
    assert len(parse_jwks({"keys": [{**entry, "kid": "k"}]}, ["RS256"])) == usable


@pytest.mark.parametrize("text", ["a", "YQ==", "Y+", "YR", "가", "Y Q"])
def test_base64url_is_strict(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        jose.base64url_decode(text)
