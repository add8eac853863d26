"""Bearer tokens, signed by real keys: whom they let in, and whom not."""

import base64
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm

from rag_common.context import Principal
from rag_contract import errors
from rag_gateway.auth import jwt
from rag_gateway.auth.audit import Audit
from rag_gateway.auth.authenticator import Authenticator
from rag_gateway.auth.credentials import Revocation, token_name
from rag_gateway.auth.issuers import Issuer as Trust
from rag_gateway.auth.issuers import IssuerConfig, Issuers
from rag_gateway.auth.jwks import KeySet
from rag_gateway.auth.jwks_sources import jwks_document
from rag_gateway.auth.jwt import TokenVerifier
from rag_gateway.auth.policy import AccessPolicy, Role
from rag_gateway.auth.revocations import RevocationCache
from tests.support.gateway.issuer import Issuer, publish

SEARCH = "/rag.gateway.v1.AnswerService/Search"
INGEST = "/rag.gateway.v1.DocumentService/IngestDocument"
POLICY = AccessPolicy(
    {SEARCH: "search", INGEST: "ingest"},
    {
        "writer": Role(frozenset({"ingest"}), None),
        "hr": Role(frozenset({"search"}), frozenset({"people"})),
        "law": Role(frozenset({"answer"}), frozenset({"contracts"})),
    },
)


CURVE = Issuer("two", ec.generate_private_key(ec.SECP256R1()))
PEM = CURVE.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def path(tmp_path: Path, issuer: Issuer) -> Path:
    path = tmp_path / "jwks.json"
    publish(path, issuer, CURVE)
    return path


def trusted(path: Path, **rules: Any) -> Trust:
    inputs = {"issuer": "issuer", "audience": "rag", "jwks": str(path), **rules}
    if "tenant" not in inputs:
        inputs.setdefault("tenants", ["*"])
    config = IssuerConfig.model_validate(inputs)
    keys = KeySet(config.issuer, jwks_document(str(path)), algorithms=config.algorithms)
    return Trust(config, keys)


def verifier(revoked: RevocationCache, *issuers: Trust) -> TokenVerifier:
    return TokenVerifier(Issuers(issuers), POLICY, revoked, leeway=30)


@pytest.fixture
def tokens(path: Path, revoked: RevocationCache) -> TokenVerifier:
    return verifier(revoked, trusted(path))


@pytest.fixture
def authenticate(tokens: TokenVerifier) -> Authenticator:
    return Authenticator(tokens, tokens, POLICY, Audit())


async def test_a_good_token_says_who_calls(tokens: TokenVerifier, issuer: Issuer) -> None:
    principal = await tokens.principal(issuer.token(jti="t-1"))
    expected = Principal("kim", "acme", frozenset({"search", "answer"}), credential="t-1")
    assert principal == expected
    await tokens.principal(issuer.token(aud=["other", "rag"]))
    await tokens.principal(CURVE.token())


@pytest.mark.parametrize(
    "token",
    ["x", "a.b", "a.b.c", "....", "e30.e30.", "é.é.é", "a" * 8193, "bnVsbA.e30.", "W10.e30."],
)
async def test_what_is_no_jwt_is_invalid(tokens: TokenVerifier, token: str) -> None:
    with pytest.raises(errors.Unauthenticated) as raised:
        await tokens.principal(token)
    assert raised.value.reason == "TOKEN_INVALID"


NOW = int(time.time())
INVALID_CLAIMS: dict[str, list[Any]] = {
    "aud": ["other", ["other"], None],
    "iss": ["other", ["issuer"], "issuer/", None],
    "nbf": [NOW + 3600],
    "exp": [None, "soon", float("inf"), float("nan"), 10**400, NOW + 32 * 86_400],
    "iat": [None, "today", NOW + 3600],
    "sub": [None, 7, "", " ", "a\nb", "x" * 129],
    "jti": [7, "", "x" * 129],
    "scope": [["search"], 7],
    "roles": [7, ["hr", 7]],
    "collections": [7],
    "tenant": [None, "", "Acme", "a/b", "acme\n", ["acme"], "x" * 65],
}


@pytest.mark.parametrize("claim", INVALID_CLAIMS)
async def test_an_invalid_claim_makes_the_token_invalid(
    tokens: TokenVerifier, issuer: Issuer, claim: str
) -> None:
    for value in INVALID_CLAIMS[claim]:
        with pytest.raises(errors.Unauthenticated) as raised:
            await tokens.principal(issuer.token(**{claim: value}))
        assert raised.value.reason == "TOKEN_INVALID", value


async def test_an_expired_token_is_said_to_be_expired(
    tokens: TokenVerifier, issuer: Issuer
) -> None:
    with pytest.raises(errors.TokenExpired):
        await tokens.principal(issuer.token(exp=int(time.time()) - 60))


async def test_clocks_may_differ_by_the_leeway(tokens: TokenVerifier, issuer: Issuer) -> None:
    now = int(time.time())
    await tokens.principal(issuer.token(exp=now - 10))
    await tokens.principal(issuer.token(nbf=now + 10, iat=now + 10))


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(algorithm: str, issuer: Issuer) -> str:
    head = {"alg": algorithm, "typ": "JWT", "kid": issuer.kid}
    parts = (json.dumps(part).encode() for part in (head, issuer.claims()))
    return ".".join(map(encoded, parts))


def mac(algorithm: str, issuer: Issuer, secret: bytes) -> str:
    """A token whose signature is a MAC with this secret."""
    signed = unsigned(algorithm, issuer)
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), f'sha{algorithm[2:]}'))}"


def claiming(algorithm: str, issuer: Issuer) -> str:
    """A token that an ES256 key signed, and whose header may say otherwise."""
    signed = unsigned(algorithm, issuer)
    return f"{signed}.{encoded(ECAlgorithm(SHA256).sign(signed.encode(), issuer.key))}"


def forgeries(issuer: Issuer) -> Iterator[str]:
    """Tokens that somebody without the issuer's private key could bring."""
    for algorithm in ("none", "None", "nOnE"):
        yield unsigned(algorithm, issuer) + "."
    for algorithm in ("HS256", "HS384", "HS512"):
        yield mac(algorithm, issuer, issuer.public_bytes)
    yield mac("HS256", CURVE, PEM)
    for algorithm in ("ES256", "EdDSA"):
        yield claiming(algorithm, Issuer(issuer.kid, CURVE.key))
    for algorithm in ("EdDSA", "ES384", "RS256", "HS256"):
        yield claiming(algorithm, CURVE)
    yield Issuer(issuer.kid).token()
    for kid in ("", "ONE", " one", "one\x00", "../jwks.json", "one' OR '1'='1"):
        yield issuer.token(headers={"kid": kid})
    own = Issuer("own")
    for headers in ({"jwk": own.jwk}, {"jku": "http://127.0.0.1/keys"}, {"x5u": "http://x"}):
        yield own.token(headers=headers)
    yield issuer.token(headers={"crit": ["new"], "new": 1})
    head, body, signature = issuer.token().split(".")
    yield f"{other_start(head)}.{body}.{signature}"
    yield f"{head}.{other_start(body)}.{signature}"
    yield f"{head}.{body}.{other_start(signature)}"
    deep = encoded(b'{"a":' + b"[" * 90_000)
    yield from (f"{deep}.{body}.{signature}", f"{head}.{deep}.{signature}")


def other_start(part: str) -> str:
    return ("A" if part[0] != "A" else "B") + part[1:]


async def test_no_forged_token_is_valid(tokens: TokenVerifier, issuer: Issuer) -> None:
    await tokens.principal(claiming("ES256", CURVE))
    for token in forgeries(issuer):
        with pytest.raises(errors.Unauthenticated) as raised:
            await tokens.principal(token)
        assert raised.value.reason == "TOKEN_INVALID"


async def test_collections_come_from_roles_and_the_claim(
    tokens: TokenVerifier, issuer: Issuer
) -> None:
    """How they are combined is in test_policy.py."""
    principal = await tokens.principal(
        issuer.token(scope="", roles=["hr", "offline_access"], collections=["people", "contracts"])
    )
    assert principal.scopes == {"search"}
    assert principal.roles == {"hr"}
    assert principal.collections == {"people"}
    with pytest.raises(errors.CollectionForbidden):
        await tokens.principal(issuer.token(collections=[]))


async def test_claims_are_found_where_the_issuer_puts_them(
    path: Path, issuer: Issuer, revoked: RevocationCache
) -> None:
    names = {
        "tenant_claim": "https://acme.example/tenant",
        "scopes_claim": "scp",
        "roles_claim": "realm_access.roles",
    }
    token = issuer.token(
        tenant=None,
        scope="admin",
        scp=["search", "openid"],
        realm_access={"roles": ["writer"]},
        **{"https://acme.example/tenant": "beta"},
    )
    principal = await verifier(revoked, trusted(path, **names)).principal(token)
    assert (principal.tenant, principal.scopes, principal.roles) == (
        "beta",
        {"search", "ingest"},
        {"writer"},
    )


async def test_an_issuer_gives_no_scope_beyond_those_it_may(
    path: Path, issuer: Issuer, revoked: RevocationCache
) -> None:
    tokens = verifier(revoked, trusted(path, scopes=["search"]))
    principal = await tokens.principal(issuer.token(scope="search admin", roles=["writer"]))
    assert principal.scopes == {"search"}


async def test_an_issuer_of_one_tenant_s_speaks_for_it_whatever_its_tokens_say(
    path: Path, issuer: Issuer, revoked: RevocationCache
) -> None:
    tokens = verifier(revoked, trusted(path, tenant="acme"))
    assert (await tokens.principal(issuer.token(tenant="beta"))).tenant == "acme"


@pytest.mark.parametrize(
    ("rules", "claims", "valid"),
    [
        ({"tenants": ["acme", "beta"]}, {"tenant": "beta"}, True),
        ({"tenants": ["acme", "beta"]}, {"tenant": "gamma"}, False),
        ({"audience": "api://rag"}, {"aud": "api://rag"}, True),
        ({"audience": "api://rag"}, {"aud": "rag"}, False),
        ({"max_lifetime": 600}, {}, True),
        ({"max_lifetime": 599}, {}, False),
    ],
)
async def test_a_token_is_held_to_the_rules_of_its_issuer(
    path: Path,
    issuer: Issuer,
    revoked: RevocationCache,
    rules: dict[str, Any],
    claims: dict[str, Any],
    valid: bool,
) -> None:
    with nullcontext() if valid else pytest.raises(errors.Unauthenticated):
        await verifier(revoked, trusted(path, **rules)).principal(issuer.token(**claims))


async def test_two_issuers_with_the_same_key_id_are_told_apart(
    tmp_path: Path, revoked: RevocationCache
) -> None:
    one, two = Issuer("key", name="https://one"), Issuer("key", name="https://two")
    publish(tmp_path / "one.json", one)
    publish(tmp_path / "two.json", two)
    tokens = verifier(
        revoked,
        trusted(tmp_path / "one.json", issuer=one.name, tenant="acme"),
        trusted(tmp_path / "two.json", issuer=two.name, tenant="beta"),
    )
    assert (await tokens.principal(one.token())).tenant == "acme"
    assert (await tokens.principal(two.token())).tenant == "beta"
    with pytest.raises(errors.Unauthenticated):
        await tokens.principal(two.token(iss=one.name))


async def test_a_broken_issuer_is_nothing_to_the_others(
    path: Path, tmp_path: Path, issuer: Issuer, revoked: RevocationCache
) -> None:
    broken = trusted(tmp_path / "missing.json", issuer="broken")
    tokens = verifier(revoked, broken, trusted(path))
    with pytest.raises(errors.Unavailable):
        await tokens.principal(issuer.token(iss="broken"))
    await tokens.principal(issuer.token())


async def test_a_revoked_token_is_refused_at_once_though_it_is_remembered(
    tokens: TokenVerifier, issuer: Issuer, revoked: RevocationCache
) -> None:
    token = issuer.token(jti="t-1")
    await tokens.principal(token)
    revoked.add(Revocation(token_name("acme", "t-1"), time.time() + 600))
    with pytest.raises(errors.KeyRevoked):
        await tokens.principal(token)
    await tokens.principal(issuer.token(jti="t-2"))


async def test_a_remembered_token_ends_with_its_own_time(
    tokens: TokenVerifier, issuer: Issuer
) -> None:
    """Remembered until its expiry and the leeway, which for this one is now."""
    await tokens.principal(issuer.token(exp=int(time.time()) - 29))
    [remembered] = tokens._cache.values()
    assert remembered.cached_until <= time.time() + 2


async def test_the_number_of_remembered_tokens_is_bounded(
    tokens: TokenVerifier, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwt, "_CACHE_SIZE", 3)
    tokens = TokenVerifier(tokens._issuers, POLICY, tokens._revoked, leeway=30)
    for number in range(5):
        await tokens.principal(issuer.token(sub=str(number)))
    assert len(tokens._cache) == 3


async def test_a_token_without_the_scope_is_refused_though_it_is_remembered(
    authenticate: Authenticator, issuer: Issuer
) -> None:
    metadata = {"authorization": f"Bearer {issuer.token()}"}
    await authenticate(SEARCH, metadata)
    for _ in range(2):
        with pytest.raises(errors.PermissionDenied):
            await authenticate(INGEST, metadata)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "abc"])
async def test_a_call_without_a_token_is_told_to_bring_one(
    authenticate: Authenticator, header: str
) -> None:
    with pytest.raises(errors.TokenMissing):
        await authenticate(SEARCH, {"authorization": header} if header else {})


@pytest.mark.parametrize(
    ("scheme", "valid"),
    [("bearer", True), ("BEARER", True), ("Basic", False), ("Bearer,", False)],
)
async def test_only_a_bearer_token_is_one_in_any_case_of_letters(
    authenticate: Authenticator, issuer: Issuer, scheme: str, valid: bool
) -> None:
    with nullcontext() if valid else pytest.raises(errors.Unauthenticated):
        await authenticate(SEARCH, {"authorization": f"{scheme} {issuer.token()}"})


async def test_a_token_that_is_too_long_is_not_looked_at(
    authenticate: Authenticator, issuer: Issuer
) -> None:
    with pytest.raises(errors.Unauthenticated):
        await authenticate(SEARCH, {"authorization": f"Bearer {issuer.token(filler='x' * 8192)}"})
