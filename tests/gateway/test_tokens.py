"""Bearer tokens, signed by real keys: whom they let in, and whom not."""

import base64
import hmac
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm

from rag_common import errors
from rag_common.context import Principal
from rag_gateway.adapters.bearer import Authenticator
from rag_gateway.adapters.credentials.revoked import Revoked
from rag_gateway.adapters.credentials.sqlite import SqliteCredentials
from rag_gateway.adapters.documents import document
from rag_gateway.adapters.issuers import Issuer as Trust
from rag_gateway.adapters.issuers import Issuers, Trusted
from rag_gateway.adapters.keys import KeySet
from rag_gateway.adapters.tokens import Tokens
from rag_gateway.audit import Audit
from rag_gateway.credentials import Revocation, token_name
from rag_gateway.policy import Policy, Role
from tests.gateway.issuer import Issuer, publish

SEARCH = "/rag.gateway.v1.AnswerService/Search"
INGEST = "/rag.gateway.v1.DocumentService/IngestDocument"
POLICY = Policy(
    {SEARCH: "search", INGEST: "ingest"},
    {
        "writer": Role(frozenset({"ingest"}), None),
        "hr": Role(frozenset({"search"}), frozenset({"people"})),
        "law": Role(frozenset({"answer"}), frozenset({"contracts"})),
    },
)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def path(tmp_path: Path, issuer: Issuer) -> Path:
    path = tmp_path / "jwks.json"
    publish(path, issuer, Issuer("two", ec.generate_private_key(ec.SECP256R1())))
    return path


@pytest.fixture
async def revoked(tmp_path: Path) -> AsyncIterator[Revoked]:
    async with SqliteCredentials(tmp_path / "credentials.sqlite") as store:
        found = Revoked(store, stale=900)
        await found.refresh()
        yield found


def trusted(path: Path, **rules: Any) -> Trust:
    given = {"issuer": "issuer", "audience": "rag", "jwks": str(path), **rules}
    if "tenant" not in given:
        given.setdefault("tenants", ["*"])
    found = Trusted.model_validate(given)
    keys = KeySet(found.issuer, document(str(path)), algorithms=found.algorithms)
    return Trust(found, keys)


def verifier(revoked: Revoked, *issuers: Trust) -> Tokens:
    return Tokens(Issuers(issuers), POLICY, revoked, leeway=30)


@pytest.fixture
def tokens(path: Path, revoked: Revoked) -> Tokens:
    return verifier(revoked, trusted(path))


async def test_a_good_token_says_who_calls(tokens: Tokens, issuer: Issuer) -> None:
    found = await tokens.principal(issuer.token(jti="t-1"))
    expected = Principal("kim", "acme", frozenset({"search", "answer"}), credential="t-1")
    assert found == expected


async def test_an_es256_token_is_as_good(tmp_path: Path, revoked: Revoked) -> None:
    issuer = Issuer("curve", ec.generate_private_key(ec.SECP256R1()))
    publish(tmp_path / "curve.json", issuer)
    tokens = verifier(revoked, trusted(tmp_path / "curve.json"))
    assert (await tokens.principal(issuer.token())).tenant == "acme"


@pytest.mark.parametrize(
    "token",
    ["x", "a.b", "a.b.c", "....", "e30.e30.", "é.é.é", "a" * 8193, "bnVsbA.e30.", "W10.e30."],
)
async def test_what_is_no_jwt_is_invalid(tokens: Tokens, token: str) -> None:
    with pytest.raises(errors.Unauthenticated) as raised:
        await tokens.principal(token)
    assert raised.value.reason == "TOKEN_INVALID"


@pytest.mark.parametrize("part", [0, 1])
async def test_a_token_nested_beyond_all_measure_is_invalid(
    tokens: Tokens, issuer: Issuer, part: int
) -> None:
    parts = issuer.token().split(".")
    parts[part] = encoded(b'{"a":' + b"[" * 90_000)
    with pytest.raises(errors.Unauthenticated):
        await tokens.principal(".".join(parts))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "other"},
        {"aud": ["other"]},
        {"iss": "other"},
        {"iss": ["issuer"]},
        {"iss": "issuer/"},
        {"nbf": int(time.time()) + 3600},
        {"iat": int(time.time()) + 3600, "exp": int(time.time()) + 7200},
        {"exp": None},
        {"iat": None},
        {"iss": None},
        {"aud": None},
        {"sub": None},
        {"exp": "soon"},
        {"exp": float("inf")},
        {"exp": int(time.time()) + 32 * 86_400},
        {"sub": 7},
        {"sub": ""},
        {"sub": " "},
        {"sub": "a\nb"},
        {"sub": "x" * 129},
        {"jti": 7},
        {"jti": ""},
        {"jti": "x" * 129},
        {"scope": ["search"]},
        {"scope": 7},
        {"roles": 7},
        {"roles": ["hr", 7]},
        {"collections": 7},
        {"tenant": None},
        {"tenant": ""},
        {"tenant": "Acme"},
        {"tenant": "a/b"},
        {"tenant": "acme\n"},
        {"tenant": ["acme"]},
        {"tenant": "x" * 65},
    ],
)
async def test_a_claim_that_does_not_fit_is_invalid(
    tokens: Tokens, issuer: Issuer, claims: dict[str, Any]
) -> None:
    with pytest.raises(errors.Unauthenticated) as raised:
        await tokens.principal(issuer.token(**claims))
    assert raised.value.reason == "TOKEN_INVALID"


async def test_an_expired_token_is_said_to_be_expired(tokens: Tokens, issuer: Issuer) -> None:
    with pytest.raises(errors.TokenExpired):
        await tokens.principal(issuer.token(exp=int(time.time()) - 60))


async def test_clocks_may_differ_by_the_leeway(tokens: Tokens, issuer: Issuer) -> None:
    now = int(time.time())
    await tokens.principal(issuer.token(exp=now - 10))
    await tokens.principal(issuer.token(nbf=now + 10, iat=now + 10))


async def test_a_token_for_several_audiences_is_good_for_ours(
    tokens: Tokens, issuer: Issuer
) -> None:
    await tokens.principal(issuer.token(aud=["other", "rag"]))


async def test_alg_none_opens_nothing(tokens: Tokens, issuer: Issuer) -> None:
    for algorithm in ("none", "None", "NONE", "nOnE"):
        with pytest.raises(errors.Unauthenticated):
            await tokens.principal(unsigned(algorithm, issuer) + ".")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_a_public_key_is_not_a_secret(tokens: Tokens, issuer: Issuer, algorithm: str) -> None:
    signed = unsigned(algorithm, issuer)
    digest = hmac.digest(issuer.public_bytes, signed.encode(), f"sha{algorithm[2:]}")
    with pytest.raises(errors.Unauthenticated):
        await tokens.principal(f"{signed}.{encoded(digest)}")


async def test_a_key_of_one_type_does_not_check_the_other_s_tokens(
    tokens: Tokens, issuer: Issuer
) -> None:
    curve = Issuer(issuer.kid, ec.generate_private_key(ec.SECP256R1()))
    for algorithm in ("ES256", "EdDSA"):
        with pytest.raises(errors.Unauthenticated):
            await tokens.principal(claiming(algorithm, curve))


async def test_a_header_that_names_another_algorithm_than_the_key_s_opens_nothing(
    tmp_path: Path, revoked: Revoked
) -> None:
    curve = Issuer("curve", ec.generate_private_key(ec.SECP256R1()))
    publish(tmp_path / "curve.json", curve)
    tokens = verifier(revoked, trusted(tmp_path / "curve.json"))
    await tokens.principal(claiming("ES256", curve))
    for algorithm in ("EdDSA", "ES384", "RS256", "HS256"):
        with pytest.raises(errors.Unauthenticated):
            await tokens.principal(claiming(algorithm, curve))


async def test_an_rsa_token_opens_nothing_where_the_issuer_has_no_leave(
    tmp_path: Path, revoked: Revoked
) -> None:
    issuer = Issuer("rsa", rsa.generate_private_key(65537, 2048))
    publish(tmp_path / "rsa.json", issuer)
    with pytest.raises(errors.Unauthenticated):
        await verifier(revoked, trusted(tmp_path / "rsa.json")).principal(issuer.token())


async def test_another_key_under_a_known_id_opens_nothing(tokens: Tokens, issuer: Issuer) -> None:
    with pytest.raises(errors.Unauthenticated):
        await tokens.principal(Issuer(issuer.kid).token())


@pytest.mark.parametrize("kid", ["", "ONE", " one", "one\x00", "../jwks.json", "one' OR '1'='1"])
async def test_a_key_id_is_a_name_and_nothing_more(
    tokens: Tokens, issuer: Issuer, kid: str
) -> None:
    with pytest.raises(errors.Unauthenticated):
        await tokens.principal(issuer.token(headers={"kid": kid}))


async def test_keys_that_a_token_brings_along_are_ignored(tokens: Tokens) -> None:
    own = Issuer("own")
    for headers in ({"jwk": own.jwk}, {"jku": "http://127.0.0.1/keys"}, {"x5u": "http://x"}):
        with pytest.raises(errors.Unauthenticated):
            await tokens.principal(own.token(headers=headers))


async def test_a_header_that_must_be_understood_and_is_not_is_refused(
    tokens: Tokens, issuer: Issuer
) -> None:
    with pytest.raises(errors.Unauthenticated):
        await tokens.principal(issuer.token(headers={"crit": ["new"], "new": 1}))


@pytest.mark.parametrize("part", [0, 1, 2])
async def test_a_token_changed_anywhere_is_invalid(
    tokens: Tokens, issuer: Issuer, part: int
) -> None:
    parts = issuer.token().split(".")
    parts[part] = ("A" if parts[part][0] != "A" else "B") + parts[part][1:]
    with pytest.raises(errors.Unauthenticated):
        await tokens.principal(".".join(parts))


async def test_roles_give_their_scopes_and_open_their_collections(
    tokens: Tokens, issuer: Issuer
) -> None:
    found = await tokens.principal(issuer.token(scope="", roles=["hr", "law", "offline_access"]))
    assert found.scopes == {"search", "answer"}
    assert found.roles == {"hr", "law"}
    assert found.collections == {"people", "contracts"}


async def test_a_claim_of_collections_takes_away_and_never_adds(
    tokens: Tokens, issuer: Issuer
) -> None:
    found = await tokens.principal(issuer.token(roles=["hr"], collections=["people", "contracts"]))
    assert found.collections == {"people"}


@pytest.mark.parametrize(
    "claims", [{"collections": []}, {"roles": ["gone"]}, {"roles": ["hr"], "collections": ["x"]}]
)
async def test_a_token_that_opens_no_collection_is_not_one_that_opens_all(
    tokens: Tokens, issuer: Issuer, claims: dict[str, Any]
) -> None:
    with pytest.raises(errors.CollectionForbidden):
        await tokens.principal(issuer.token(**claims))


async def test_claims_are_found_where_the_issuer_puts_them(
    path: Path, issuer: Issuer, revoked: Revoked
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
    found = await verifier(revoked, trusted(path, **names)).principal(token)
    assert (found.tenant, found.scopes, found.roles) == ("beta", {"search", "ingest"}, {"writer"})


async def test_an_issuer_gives_no_scope_beyond_those_it_may(
    path: Path, issuer: Issuer, revoked: Revoked
) -> None:
    tokens = verifier(revoked, trusted(path, scopes=["search"]))
    found = await tokens.principal(issuer.token(scope="search admin", roles=["writer"]))
    assert found.scopes == {"search"}


async def test_an_issuer_of_one_tenant_s_speaks_for_it_whatever_its_tokens_say(
    path: Path, issuer: Issuer, revoked: Revoked
) -> None:
    tokens = verifier(revoked, trusted(path, tenant="acme"))
    assert (await tokens.principal(issuer.token(tenant="beta"))).tenant == "acme"


async def test_an_issuer_does_not_speak_for_a_tenant_that_it_may_not_name(
    path: Path, issuer: Issuer, revoked: Revoked
) -> None:
    tokens = verifier(revoked, trusted(path, tenants=["acme", "beta"]))
    assert (await tokens.principal(issuer.token(tenant="beta"))).tenant == "beta"
    with pytest.raises(errors.Unauthenticated):
        await tokens.principal(issuer.token(tenant="gamma"))


async def test_two_issuers_with_the_same_key_id_are_told_apart(
    tmp_path: Path, revoked: Revoked
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


async def test_each_issuer_s_tokens_are_for_its_own_audience(
    path: Path, issuer: Issuer, revoked: Revoked
) -> None:
    tokens = verifier(revoked, trusted(path, audience="api://rag"))
    await tokens.principal(issuer.token(aud="api://rag"))
    with pytest.raises(errors.Unauthenticated):
        await tokens.principal(issuer.token(aud="rag"))


async def test_a_broken_issuer_is_nothing_to_the_others(
    path: Path, tmp_path: Path, issuer: Issuer, revoked: Revoked
) -> None:
    broken = trusted(tmp_path / "missing.json", issuer="broken")
    tokens = verifier(revoked, broken, trusted(path))
    with pytest.raises(errors.Unavailable):
        await tokens.principal(issuer.token(iss="broken"))
    await tokens.principal(issuer.token())


async def test_a_revoked_token_is_refused_at_once_though_it_is_remembered(
    tokens: Tokens, issuer: Issuer, revoked: Revoked
) -> None:
    token = issuer.token(jti="t-1")
    await tokens.principal(token)
    revoked.add(Revocation(token_name("acme", "t-1"), time.time() + 600))
    with pytest.raises(errors.KeyRevoked):
        await tokens.principal(token)
    await tokens.principal(issuer.token(jti="t-2"))


async def test_a_revocation_ends_at_its_own_tenant(
    tokens: Tokens, issuer: Issuer, revoked: Revoked
) -> None:
    revoked.add(Revocation(token_name("beta", "t-1"), time.time() + 600))
    await tokens.principal(issuer.token(jti="t-1"))


async def test_a_remembered_token_ends_with_its_own_time(tokens: Tokens, issuer: Issuer) -> None:
    """Remembered until its expiry and the leeway, which for this one is now."""
    await tokens.principal(issuer.token(exp=int(time.time()) - 29))
    [remembered] = tokens._known.values()
    assert remembered.until <= time.time() + 2


async def test_the_number_of_remembered_tokens_is_bounded(tokens: Tokens, issuer: Issuer) -> None:
    first = issuer.token()
    await tokens.principal(first)
    for number in range(4096):
        await tokens.principal(issuer.token(sub=str(number)))
    assert len(tokens._known) == 4096


async def test_the_door_lets_in_by_scope_and_keeps_out_by_scope(
    tokens: Tokens, issuer: Issuer
) -> None:
    door = Authenticator(tokens, tokens, POLICY, Audit())
    metadata = {"authorization": f"Bearer {issuer.token()}"}
    await door(SEARCH, metadata)
    for _ in range(2):
        with pytest.raises(errors.PermissionDenied):
            await door(INGEST, metadata)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "abc"])
async def test_a_call_without_a_token_is_told_to_bring_one(tokens: Tokens, header: str) -> None:
    metadata = {"authorization": header} if header else {}
    with pytest.raises(errors.TokenMissing):
        await Authenticator(tokens, tokens, POLICY, Audit())(SEARCH, metadata)


@pytest.mark.parametrize(
    ("scheme", "welcome"),
    [("bearer", True), ("BEARER", True), ("Basic", False), ("Bearer,", False)],
)
async def test_only_a_bearer_token_is_one_in_any_case_of_letters(
    tokens: Tokens, issuer: Issuer, scheme: str, welcome: bool
) -> None:
    door = Authenticator(tokens, tokens, POLICY, Audit())
    metadata = {"authorization": f"{scheme} {issuer.token()}"}
    if welcome:
        await door(SEARCH, metadata)
    else:
        with pytest.raises(errors.Unauthenticated):
            await door(SEARCH, metadata)


async def test_a_token_beyond_all_measure_is_not_looked_at(tokens: Tokens, issuer: Issuer) -> None:
    huge = issuer.token(filler="x" * 8192)
    with pytest.raises(errors.Unauthenticated):
        await Authenticator(tokens, tokens, POLICY, Audit())(
            SEARCH, {"authorization": f"Bearer {huge}"}
        )


async def test_a_secret_made_of_the_public_pem_opens_nothing(
    tmp_path: Path, revoked: Revoked
) -> None:
    curve = ec.generate_private_key(ec.SECP256R1())
    issuer = Issuer("curve", curve)
    publish(tmp_path / "curve.json", issuer)
    pem = curve.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = unsigned("HS256", issuer)
    mark = encoded(hmac.digest(pem, signed.encode(), "sha256"))
    with pytest.raises(errors.Unauthenticated):
        await verifier(revoked, trusted(tmp_path / "curve.json")).principal(f"{signed}.{mark}")


def claiming(algorithm: str, issuer: Issuer) -> str:
    """A token that an ES256 key signed, and whose header may say otherwise."""
    signed = unsigned(algorithm, issuer)
    return f"{signed}.{encoded(ECAlgorithm(SHA256).sign(signed.encode(), issuer.key))}"


def unsigned(algorithm: str, issuer: Issuer) -> str:
    head = {"alg": algorithm, "typ": "JWT", "kid": issuer.kid}
    parts = (json.dumps(part).encode() for part in (head, issuer.claims()))
    return ".".join(map(encoded, parts))


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
