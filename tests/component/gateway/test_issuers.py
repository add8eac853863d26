"""Who is trusted to issue tokens: what an operator may write, and what a provider may answer."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from rag_common.settings import SettingsInvalid
from rag_contract import errors
from rag_gateway.auth.issuers import Issuer as Trust
from rag_gateway.auth.issuers import IssuerConfig, Issuers, build_issuers, read_issuers
from rag_gateway.auth.jwks import KeySet
from rag_gateway.auth.jwks_sources import discovered_jwks, jwks_document, require_safe
from rag_gateway.auth.jwt import TokenVerifier
from rag_gateway.auth.policy import AccessPolicy
from tests.support.gateway.issuer import Issuer, LeapingClock, Provider, provider, publish
from tests.support.waiting import until

ENTRY = 'issuer = "https://one"\naudience = "rag"\njwks = "keys.json"\ntenant = "acme"\n'


class Unrevoked:
    """A list on which nothing is."""

    def check(self, name: str) -> None:
        """Nothing is on it."""


@pytest.fixture
async def idp() -> AsyncIterator[Provider]:
    async with provider() as result:
        yield result


@pytest.fixture
def own(tmp_path: Path) -> Trust:
    return trust(tmp_path / "own.json", "own")


def trust(path: Path, name: str) -> Trust:
    rules = IssuerConfig(issuer=name, audience="rag", jwks=str(path), tenants=frozenset({"*"}))
    return Trust(rules, KeySet(name, jwks_document(str(path))))


def oidc(url: str, **rules: Any) -> IssuerConfig:
    inputs = {"issuer": url, "audience": "rag", "discovery": True, "tenant": "acme", **rules}
    return IssuerConfig.model_validate(inputs)


def verifier(issuers: Issuers) -> TokenVerifier:
    return TokenVerifier(issuers, AccessPolicy({}, {}), Unrevoked(), leeway=30)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "issuers.toml"
    path.write_text(text)
    return path


def test_what_the_operator_writes_is_what_is_trusted(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        f"""
        [[issuers]]
        {ENTRY}
        [[issuers]]
        issuer = "https://two/realms/acme"
        audience = "rag"
        discovery = true
        algorithms = ["RS256"]
        tenants = ["acme", "beta"]
        roles_claim = "realm_access.roles"
        max_lifetime = 3600
        """,
    )
    one, two = read_issuers(path)
    assert (one.issuer, one.tenant, one.algorithms) == ("https://one", "acme", {"EdDSA", "ES256"})
    assert (two.discovery, two.tenants, two.max_lifetime) == (True, {"acme", "beta"}, 3600)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "not TOML"),
        ("", "issuers: Field required"),
        ("issuers = [7]", r"issuers\[0\]: "),
        (f"other = 1\n[[issuers]]\n{ENTRY}", "other: Extra inputs"),
        (f"[[issuers]]\n{ENTRY}[[issuers]]\n{ENTRY}", "twice"),
        (f"[[issuers]]\n{ENTRY}surprise = 1", "surprise"),
        (f"[[issuers]]\n{ENTRY}discovery = true", "either jwks"),
        (f"[[issuers]]\n{ENTRY}tenants = ['beta']", "either tenant"),
        (f"[[issuers]]\n{ENTRY}algorithms = ['RS256']", "RS256"),
        (f"[[issuers]]\n{ENTRY}algorithms = ['HS256']", "algorithms"),
        (f"[[issuers]]\n{ENTRY}scopes = ['root']", "scopes"),
        (f"[[issuers]]\n{ENTRY}max_lifetime = 0", "max_lifetime"),
        ('[[issuers]]\nissuer = "x"\naudience = "rag"\njwks = "k"', "either tenant"),
        ('[[issuers]]\nissuer = "x"\naudience = "rag"\ntenant = "A B"\njwks = "k"', "tenant"),
        ('[[issuers]]\nissuer = "http://idp.example"\naudience = "rag"\ntenant = "a"\ndiscovery = true',
         "https"),
        ('[[issuers]]\nissuer = "x"\naudience = "rag"\ntenant = "a"\njwks = "http://idp.example/k"',
         "https"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_in_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsInvalid, match=message) as raised:
        read_issuers(written(tmp_path, text))
    assert "issuers.toml" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://idp.example/keys", True),
        ("http://127.0.0.1:8080/keys", True),
        ("http://localhost/keys", True),
        ("http://[::1]/keys", True),
        ("http://idp.example/keys", False),
        ("http://127.0.0.1.idp.example/keys", False),
        ("https://user:password@idp.example/keys", False),
        ("file:///etc/passwd", False),
        ("https:///keys", False),
    ],
)
def test_keys_come_over_tls_or_from_this_machine(url: str, safe: bool) -> None:
    if safe:
        require_safe(url)
    else:
        with pytest.raises(ValueError, match="https"):
            require_safe(url)


def test_nobody_takes_the_place_of_our_own_issuer(own: Trust) -> None:
    other = IssuerConfig(issuer="own", audience="rag", jwks="k", tenant="acme")
    with pytest.raises(ValueError, match="own"):
        build_issuers([other], own=own)


async def test_every_tenant_is_every_tenant_that_no_other_issuer_names(own: Trust) -> None:
    anyone = IssuerConfig(issuer="anyone", audience="rag", jwks="k", tenants=frozenset({"*"}))
    named = IssuerConfig(issuer="named", audience="rag", jwks="k", tenants=frozenset({"acme"}))
    fixed = IssuerConfig(issuer="fixed", audience="rag", jwks="k", tenant="beta")
    issuers = build_issuers([anyone, named, fixed], own=own)
    result = issuers.get("anyone")
    assert result
    assert [result.speaks_for(tenant) for tenant in ("acme", "beta", "gamma")] == [
        False, False, True,
    ]  # fmt: skip
    assert own.speaks_for("acme")


async def test_a_provider_is_found_by_its_discovery_document(idp: Provider, own: Trust) -> None:
    issuer = Issuer(name=idp.url)
    idp.publish(issuer)
    tokens = verifier(build_issuers([oidc(idp.url)], own=own))
    assert (await tokens.principal(issuer.token())).tenant == "acme"
    assert idp.requests == ["/.well-known/openid-configuration", "/keys"]


async def test_a_provider_that_signs_with_rsa_is_taken_where_that_is_configured(
    idp: Provider, own: Trust
) -> None:
    issuer = Issuer("rsa", rsa.generate_private_key(65537, 2048), idp.url)
    idp.publish(issuer)
    await verifier(build_issuers([oidc(idp.url, algorithms=["RS256"])], own=own)).principal(
        issuer.token()
    )
    with pytest.raises(errors.Unauthenticated):
        await verifier(build_issuers([oidc(idp.url)], own=own)).principal(issuer.token())


@pytest.mark.parametrize(
    "page",
    [
        {"issuer": "https://other"},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": 7},
        {"jwks_uri": "http://idp.example/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "https://127.0.0.1/keys"},
        {"filler": "x" * 300_000},
    ],
)
async def test_a_discovery_document_that_does_not_fit_leads_nowhere(
    idp: Provider, page: dict[str, Any]
) -> None:
    idp.publish(Issuer(), **page)
    with pytest.raises(ValueError, match=r"discovery|https|large"):
        await discovered_jwks(idp.url)()


async def test_an_issuer_whose_name_ends_in_a_slash_is_asked_in_the_right_place(
    idp: Provider,
) -> None:
    idp.publish(Issuer("one"), issuer=idp.url + "/")
    assert (await discovered_jwks(idp.url + "/")())["keys"]
    with pytest.raises(ValueError, match="another issuer"):
        await discovered_jwks(idp.url)()


async def test_one_issuer_s_keys_are_enough_to_be_ready(
    tmp_path: Path, idp: Provider, own: Trust
) -> None:
    issuers = build_issuers([oidc(idp.url)], own=own)
    with pytest.raises(errors.Unavailable):
        await issuers.ready()
    publish(tmp_path / "other.json", Issuer())
    await Issuers([own, trust(tmp_path / "other.json", "other")]).ready()


async def test_an_unavailable_issuer_is_not_waited_for_to_be_ready(
    tmp_path: Path, idp: Provider, own: Trust
) -> None:
    publish(tmp_path / "own.json", Issuer())
    await own.keys.ready()
    await build_issuers([oidc(idp.url)], own=own).ready()
    assert idp.requests == []


async def test_all_issuers_keys_are_renewed_in_the_background(idp: Provider, own: Trust) -> None:
    idp.publish(Issuer("one", name=idp.url))
    keys = KeySet(idp.url, discovered_jwks(idp.url), clock=LeapingClock())
    async with Issuers([own, Trust(oidc(idp.url), keys)]).renewing(0.01):
        await until(lambda: idp.requests.count("/keys") > 1, "the keys were read again")


def test_a_revocation_is_remembered_as_long_as_any_token_can_live(own: Trust) -> None:
    assert (
        build_issuers([oidc("https://x", max_lifetime=600)], own=own).longest_lifetime
        == 31 * 86_400
    )
