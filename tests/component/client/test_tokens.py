"""`rag token`, and the tokens that commands sign for themselves."""

from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rag_cli.dev_tokens import Claims, fresh_token, thumbprint
from tests.support.client import replies
from tests.support.client.fixtures import Rag
from tests.support.client.neighbour import Neighbour


def _claims(token: str, key: Ed25519PrivateKey) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        token, key.public_key(), ["EdDSA"], audience="rag", issuer="rag-dev"
    )
    return claims


def test_a_token_verifies_and_says_what_was_asked(rag: Rag, key: Ed25519PrivateKey) -> None:
    output = rag("token", "--tenant", "acme", "--scope", "search", "--ttl", "15m").stdout.strip()
    claims = _claims(output, key)
    assert (claims["tenant"], claims["scope"]) == ("acme", "search")
    assert claims["exp"] - claims["iat"] == 900
    assert jwt.get_unverified_header(output)["kid"] == thumbprint(key.public_key())


def test_a_thumbprint_is_that_of_rfc_8037() -> None:
    # Appendix A.3 of RFC 8037.
    seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
    public = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed)).public_key()
    assert thumbprint(public) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("words", [("--ttl", "soon"), ("--ttl", "0s"), ("--key", "nowhere.pem")])
def test_a_token_that_cannot_be_made_is_wrong_usage(rag: Rag, words: tuple[str, str]) -> None:
    result = rag("token", *words)
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_fresh_token_is_signed_again_before_it_ends(key: Ed25519PrivateKey) -> None:
    moments = iter([1000.0, 1000.0, 1100.0, 1545.0, 1545.0])
    fresh = fresh_token(key, Claims("demo", ttl=600.0), lambda: next(moments))
    first, second, third = fresh(), fresh(), fresh()
    assert first == second != third


def test_without_a_token_one_is_signed_for_the_tenant(
    rag: Rag, neighbour: Neighbour, key: Ed25519PrivateKey
) -> None:
    neighbour.says("Search", replies.search("a"))
    result = rag("search", "연차", "--tenant", "acme")
    bearer = neighbour.heard[0].metadata["authorization"].removeprefix("Bearer ")
    assert _claims(bearer, key)["tenant"] == "acme"
    assert result.stderr == ""
