"""Bearer tokens, signed by real keys: whom they let in, and whom not."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from rag_common import errors
from rag_common.context import Principal
from rag_gateway.adapters.keys import Keys
from rag_gateway.adapters.tokens import TokenAuthenticator
from tests.gateway.issuer import Issuer, publish

SEARCH = "/rag.gateway.v1.AnswerService/Search"
INGEST = "/rag.gateway.v1.DocumentService/IngestDocument"


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def authenticator(tmp_path: Path, issuer: Issuer) -> TokenAuthenticator:
    path = tmp_path / "jwks.json"
    publish(path, issuer, Issuer("two", ec.generate_private_key(ec.SECP256R1())))
    keys = Keys(str(path), 300)
    return TokenAuthenticator(keys, issuer="issuer", audience="rag", leeway=30)


async def let_in(authenticator: TokenAuthenticator, token: str) -> Principal:
    return await authenticator(SEARCH, {"authorization": f"Bearer {token}"})


async def test_a_good_token_says_who_calls(
    authenticator: TokenAuthenticator, issuer: Issuer
) -> None:
    found = await let_in(authenticator, issuer.token())
    assert found == Principal("kim", "acme", frozenset({"search", "answer"}))


async def test_an_es256_token_is_as_good(tmp_path: Path) -> None:
    issuer = Issuer("curve", ec.generate_private_key(ec.SECP256R1()))
    publish(tmp_path / "jwks.json", issuer)
    keys = Keys(str(tmp_path / "jwks.json"), 300)
    authenticator = TokenAuthenticator(keys, issuer="issuer", audience="rag", leeway=30)
    assert (await let_in(authenticator, issuer.token())).tenant == "acme"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "abc"])
async def test_a_call_without_a_token_is_told_to_bring_one(
    authenticator: TokenAuthenticator, header: str
) -> None:
    metadata = {"authorization": header} if header else {}
    with pytest.raises(errors.TokenMissing):
        await authenticator(SEARCH, metadata)


async def test_another_scheme_is_not_a_bearer_token(
    authenticator: TokenAuthenticator, issuer: Issuer
) -> None:
    with pytest.raises(errors.Unauthenticated):
        await authenticator(SEARCH, {"authorization": f"Basic {issuer.token()}"})


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
async def test_the_scheme_may_be_in_any_case(
    authenticator: TokenAuthenticator, issuer: Issuer, scheme: str
) -> None:
    await authenticator(SEARCH, {"authorization": f"{scheme} {issuer.token()}"})


@pytest.mark.parametrize(
    "token",
    ["x", "a.b", "a.b.c", "....", "e30.e30.", "é.é.é", "a" * 8193, "bnVsbA.e30.", "W10.e30."],
)
async def test_what_is_no_jwt_is_invalid(authenticator: TokenAuthenticator, token: str) -> None:
    with pytest.raises(errors.Unauthenticated) as raised:
        await let_in(authenticator, token)
    assert raised.value.reason == "TOKEN_INVALID"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "other"},
        {"aud": ["other"]},
        {"iss": "other"},
        {"nbf": int(time.time()) + 3600},
        {"exp": None},
        {"iat": None},
        {"iss": None},
        {"aud": None},
        {"sub": None},
        {"exp": "soon"},
        {"sub": 7},
        {"scope": ["search"]},
        {"scope": 7},
        {"tenant": None},
        {"tenant": ""},
        {"tenant": "Acme"},
        {"tenant": "a/b"},
        {"tenant": ["acme"]},
        {"tenant": "x" * 65},
    ],
)
async def test_a_claim_that_does_not_fit_is_invalid(
    authenticator: TokenAuthenticator, issuer: Issuer, claims: dict[str, Any]
) -> None:
    with pytest.raises(errors.Unauthenticated) as raised:
        await let_in(authenticator, issuer.token(**claims))
    assert raised.value.reason == "TOKEN_INVALID"


async def test_an_expired_token_is_said_to_be_expired(
    authenticator: TokenAuthenticator, issuer: Issuer
) -> None:
    with pytest.raises(errors.TokenExpired):
        await let_in(authenticator, issuer.token(exp=int(time.time()) - 60))


async def test_clocks_may_differ_by_the_leeway(
    authenticator: TokenAuthenticator, issuer: Issuer
) -> None:
    now = int(time.time())
    await let_in(authenticator, issuer.token(exp=now - 10))
    await let_in(authenticator, issuer.token(nbf=now + 10, iat=now + 10))


async def test_a_token_for_several_audiences_is_good_for_ours(
    authenticator: TokenAuthenticator, issuer: Issuer
) -> None:
    await let_in(authenticator, issuer.token(aud=["other", "rag"]))


async def test_alg_none_opens_nothing(authenticator: TokenAuthenticator, issuer: Issuer) -> None:
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    for algorithm in ("none", "None", "NONE", "nOnE"):
        head = base64.urlsafe_b64encode(
            json.dumps({"alg": algorithm, "kid": issuer.kid}).encode()
        ).rstrip(b"=")
        body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
        with pytest.raises(errors.Unauthenticated):
            await let_in(authenticator, f"{head.decode()}.{body.decode()}.")


async def test_a_public_key_is_not_a_secret(
    authenticator: TokenAuthenticator, issuer: Issuer
) -> None:
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    forged = jwt.encode(claims, issuer.public_bytes, "HS256", {"kid": issuer.kid})
    with pytest.raises(errors.Unauthenticated):
        await let_in(authenticator, forged)


async def test_a_key_of_one_type_does_not_check_the_other_s_tokens(
    authenticator: TokenAuthenticator, issuer: Issuer
) -> None:
    curve = Issuer(issuer.kid, ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(errors.Unauthenticated):
        await let_in(authenticator, curve.token())


async def test_another_key_under_a_known_id_opens_nothing(
    authenticator: TokenAuthenticator, issuer: Issuer
) -> None:
    with pytest.raises(errors.Unauthenticated):
        await let_in(authenticator, Issuer(issuer.kid).token())


async def test_keys_that_a_token_brings_along_are_ignored(
    authenticator: TokenAuthenticator,
) -> None:
    own = Issuer("own")
    for headers in ({"jwk": own.jwk}, {"jku": "http://127.0.0.1/keys"}, {"x5u": "http://x"}):
        with pytest.raises(errors.Unauthenticated):
            await let_in(authenticator, own.token(headers=headers))


@pytest.mark.parametrize("part", [0, 1, 2])
async def test_a_token_changed_anywhere_is_invalid(
    authenticator: TokenAuthenticator, issuer: Issuer, part: int
) -> None:
    parts = issuer.token().split(".")
    parts[part] = ("A" if parts[part][0] != "A" else "B") + parts[part][1:]
    with pytest.raises(errors.Unauthenticated):
        await let_in(authenticator, ".".join(parts))


async def test_a_token_that_was_checked_still_does_not_open_what_it_may_not(
    authenticator: TokenAuthenticator, issuer: Issuer
) -> None:
    token = issuer.token()
    await let_in(authenticator, token)
    with pytest.raises(errors.PermissionDenied):
        await authenticator(INGEST, {"authorization": f"Bearer {token}"})


async def test_a_remembered_token_ends_with_its_own_time(
    authenticator: TokenAuthenticator, issuer: Issuer
) -> None:
    """Remembered until its expiry and the leeway, which for this one is now."""
    token = issuer.token(exp=int(time.time()) - 29)
    await let_in(authenticator, token)
    remembered = authenticator._known[token][1]
    assert remembered <= time.time() + 2


async def test_the_number_of_remembered_tokens_is_bounded(
    authenticator: TokenAuthenticator, issuer: Issuer
) -> None:
    principal = Principal("kim", "acme", frozenset())
    for number in range(5000):
        authenticator._remember(str(number), principal, time.time() + 60)
    assert len(authenticator._known) == 4096
    assert "0" not in authenticator._known
    assert "4999" in authenticator._known
