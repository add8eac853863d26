"""Tokens signed by Vault's transit engine."""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from rag_common.settings import SettingsInvalid
from rag_common.vault.client import Vault
from rag_common.vault.transit import TransitSigner
from rag_contract.errors import Unavailable
from rag_local.backends.vault_setup import TOKEN_KEY
from tests.support.vault.fixtures import Outage
from tests.support.waiting import until

CLAIMS = {"sub": "김민수", "iss": "rag", "aud": "rag", "scope": ["ask", "search"]}
KINDS = {"ed25519": "EdDSA", "ecdsa-p256": "ES256"}

Rotate = Callable[..., None]


@pytest.fixture(params=KINDS)
def kind(root: Any, request: pytest.FixtureRequest) -> str:
    """Makes the tokens' key anew, of each kind."""
    transit = root.secrets.transit
    transit.update_key_configuration(TOKEN_KEY, deletion_allowed=True)
    transit.delete_key(TOKEN_KEY)
    transit.create_key(TOKEN_KEY, key_type=request.param)
    return str(request.param)


@pytest.fixture
def rotate(root: Any) -> Rotate:
    """Makes the next version of the tokens' key, with changed settings where such are given."""

    def act(**configuration: int) -> None:
        root.secrets.transit.rotate_key(TOKEN_KEY)
        if configuration:
            root.secrets.transit.update_key_configuration(TOKEN_KEY, **configuration)

    return act


def verified(token: str, jwks: dict[str, list[dict[str, str]]]) -> dict[str, Any]:
    """The claims of a token that a key of the JWKS fits. Raises KeyError, InvalidTokenError."""
    header = jwt.get_unverified_header(token)
    key = jwt.PyJWKSet.from_dict(dict(jwks))[header["kid"]]
    claims: dict[str, Any] = jwt.decode(token, key, algorithms=[header["alg"]], audience="rag")
    return claims


async def test_a_token_is_verified_with_the_jwks_which_holds_nothing_private(
    opened: Vault, kind: str
) -> None:
    signer = await opened.signer(TOKEN_KEY)
    token, jwks = await signer.sign(CLAIMS), await signer.jwks()
    assert verified(token, jwks) == CLAIMS
    assert jwt.get_unverified_header(token)["alg"] == KINDS[kind]
    assert not any("d" in key for key in jwks["keys"])


async def test_many_tokens_are_all_verified(opened: Vault, kind: str) -> None:
    # Signatures with every kind of byte, which two alphabets of base64 write differently.
    signer = await opened.signer(TOKEN_KEY)
    jwks = await signer.jwks()
    for number in range(30):
        claims = {"aud": "rag", "n": number}
        assert verified(await signer.sign(claims), jwks) == claims


async def test_a_changed_token_is_not_verified(opened: Vault, kind: str) -> None:
    signer = await opened.signer(TOKEN_KEY)
    header, _claims, signature = (await signer.sign(CLAIMS)).split(".")
    other = base64.urlsafe_b64encode(json.dumps({**CLAIMS, "sub": "x"}).encode()).decode()
    with pytest.raises(jwt.InvalidSignatureError):
        verified(f"{header}.{other.rstrip('=')}.{signature}", await signer.jwks())


async def test_the_key_id_is_the_thumbprint(opened: Vault, kind: str) -> None:
    signer = await opened.signer(TOKEN_KEY)
    key = (await signer.jwks())["keys"][0]
    members = {name: text for name, text in key.items() if name in ("crv", "kty", "x", "y")}
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":")).encode()
    digest = base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).decode().rstrip("=")
    assert key["kid"] == digest
    assert jwt.get_unverified_header(await signer.sign(CLAIMS))["kid"] == digest


async def test_tokens_of_both_versions_are_verified_after_a_rotation(
    opened: Vault, kind: str, rotate: Rotate
) -> None:
    signer = await opened.signer(TOKEN_KEY)
    old = await signer.sign(CLAIMS)
    rotate()
    jwks = await signer.jwks(renew=True)
    new = await signer.sign(CLAIMS)
    assert len(jwks["keys"]) == 2
    assert jwt.get_unverified_header(old)["kid"] != jwt.get_unverified_header(new)["kid"]
    assert verified(old, jwks) == verified(new, jwks) == CLAIMS
    assert jwks["keys"][0]["kid"] == jwt.get_unverified_header(new)["kid"], "the newest is first"


async def test_a_rotation_is_noticed_when_what_is_known_is_too_old(
    opened: Vault, kind: str, rotate: Rotate
) -> None:
    now = [0.0]
    signer = TransitSigner(
        opened._session, "transit", TOKEN_KEY, max_age=60.0, clock=lambda: now[0]
    )
    first = jwt.get_unverified_header(await signer.sign(CLAIMS))["kid"]
    rotate()
    assert jwt.get_unverified_header(await signer.sign(CLAIMS))["kid"] == first
    now[0] = 61.0
    assert jwt.get_unverified_header(await signer.sign(CLAIMS))["kid"] != first


async def test_a_version_that_is_signed_with_no_more_is_noticed_at_once(
    opened: Vault, kind: str, rotate: Rotate
) -> None:
    signer = await opened.signer(TOKEN_KEY)
    first = await signer.sign(CLAIMS)
    rotate(min_encryption_version=2)
    second = await signer.sign(CLAIMS)
    assert jwt.get_unverified_header(first)["kid"] != jwt.get_unverified_header(second)["kid"]
    assert verified(second, await signer.jwks()) == CLAIMS


async def test_a_version_that_is_retired_leaves_the_jwks(
    opened: Vault, kind: str, rotate: Rotate
) -> None:
    signer = await opened.signer(TOKEN_KEY)
    old = await signer.sign(CLAIMS)
    rotate(min_decryption_version=2)
    with pytest.raises(KeyError):
        verified(old, await signer.jwks(renew=True))


async def test_in_an_outage_public_keys_are_known_and_nothing_is_signed(
    opened: Vault, outage: Outage
) -> None:
    # A live secret, whose polling notices that Vault is back.
    await opened.secret("rag/gateway/example")
    signer = await opened.signer(TOKEN_KEY)
    before = await signer.jwks()
    await outage.stop()
    with pytest.raises(Unavailable) as caught:
        await signer.sign(CLAIMS)
    assert str(caught.value) == "tokens cannot be signed at the moment"
    assert await signer.jwks(renew=True) == before
    await until(lambda: not opened.state.ok, "the outage is noticed")
    await outage.back()
    await until(lambda: opened.state.ok, "Vault is used again")
    assert verified(await signer.sign(CLAIMS), await signer.jwks()) == CLAIMS


async def test_a_key_that_is_not_there_ends_the_start(opened: Vault) -> None:
    with pytest.raises(SettingsInvalid):
        await opened.signer("nothing")


async def test_a_key_of_another_kind_ends_the_start(opened: Vault, root: Any) -> None:
    transit = root.secrets.transit
    transit.update_key_configuration(TOKEN_KEY, deletion_allowed=True)
    transit.delete_key(TOKEN_KEY)
    transit.create_key(TOKEN_KEY, key_type="aes256-gcm96")
    try:
        with pytest.raises(SettingsInvalid, match="aes256-gcm96"):
            await opened.signer(TOKEN_KEY)
    finally:
        transit.update_key_configuration(TOKEN_KEY, deletion_allowed=True)
        transit.delete_key(TOKEN_KEY)
        transit.create_key(TOKEN_KEY, key_type="ed25519")
