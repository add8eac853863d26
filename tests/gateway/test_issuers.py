"""Who is trusted to issue tokens: what an operator may write, and what a provider may answer."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from rag_common import errors
from rag_gateway.adapters.documents import discovered, document, require_safe
from rag_gateway.adapters.issuers import Issuer as Trust
from rag_gateway.adapters.issuers import Issuers, Trusted, load, opened
from rag_gateway.adapters.keys import KeySet
from rag_gateway.adapters.tokens import Tokens
from rag_gateway.policy import Policy
from tests.gateway.issuer import Issuer, Provider, jwks, provider, publish
from tests.waiting import until

ENTRY = 'issuer = "https://one"\naudience = "rag"\njwks = "keys.json"\ntenant = "acme"\n'


class Unrevoked:
    """A list on which nothing is."""

    def check(self, name: str) -> None:
        """Nothing is on it."""


@pytest.fixture
async def idp() -> AsyncIterator[Provider]:
    async with provider() as found:
        yield found


@pytest.fixture
def own(tmp_path: Path) -> Trust:
    return trust(tmp_path / "own.json", "own")


def trust(path: Path, name: str) -> Trust:
    rules = Trusted(issuer=name, audience="rag", jwks=str(path), tenants=frozenset({"*"}))
    return Trust(rules, KeySet(name, document(str(path))))


def oidc(url: str, **rules: Any) -> Trusted:
    given = {"issuer": url, "audience": "rag", "discovery": True, "tenant": "acme", **rules}
    return Trusted.model_validate(given)


def verifier(issuers: Issuers) -> Tokens:
    return Tokens(issuers, Policy({}, {}), Unrevoked(), leeway=30)


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
    one, two = load(path)
    assert (one.issuer, one.tenant, one.algorithms) == ("https://one", "acme", {"EdDSA", "ES256"})
    assert (two.discovery, two.tenants, two.max_lifetime) == (True, {"acme", "beta"}, 3600)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x", "not TOML"),
        ("", "tables"),
        ("issuers = 7", "tables"),
        ("issuers = [7]", "issuer 1"),
        (f"other = 1\n[[issuers]]\n{ENTRY}", "nothing else"),
        (f"[[issuers]]\n{ENTRY}[[issuers]]\n{ENTRY}", "twice"),
        (f"[[issuers]]\n{ENTRY}surprise = 1", "surprise"),
        (f"[[issuers]]\n{ENTRY}discovery = true", "either jwks"),
        (f"[[issuers]]\n{ENTRY}tenants = ['beta']", "either tenant"),
        (f"[[issuers]]\n{ENTRY}algorithms = ['RS256']", "RS256"),
        (f"[[issuers]]\n{ENTRY}algorithms = ['HS256']", "algorithms"),
        (f"[[issuers]]\n{ENTRY}algorithms = ['none']", "algorithms"),
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
def test_what_does_not_fit_is_said_in_one_sentence(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as raised:
        load(written(tmp_path, text))
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
    other = Trusted(issuer="own", audience="rag", jwks="k", tenant="acme")
    with pytest.raises(ValueError, match="own"):
        opened([other], own=own)


async def test_every_tenant_is_every_tenant_that_no_other_issuer_names(own: Trust) -> None:
    anyone = Trusted(issuer="anyone", audience="rag", jwks="k", tenants=frozenset({"*"}))
    named = Trusted(issuer="named", audience="rag", jwks="k", tenants=frozenset({"acme"}))
    fixed = Trusted(issuer="fixed", audience="rag", jwks="k", tenant="beta")
    issuers = opened([anyone, named, fixed], own=own)
    found = issuers.get("anyone")
    assert found
    assert [found.speaks_for(tenant) for tenant in ("acme", "beta", "gamma")] == [
        False, False, True,
    ]  # fmt: skip
    assert own.speaks_for("acme")


async def test_a_provider_is_found_by_its_discovery_document(idp: Provider, own: Trust) -> None:
    issuer = Issuer(name=idp.url)
    idp.publish(issuer)
    tokens = verifier(opened([oidc(idp.url)], own=own))
    assert (await tokens.principal(issuer.token())).tenant == "acme"
    assert idp.asked == ["/.well-known/openid-configuration", "/keys"]


async def test_a_provider_that_signs_with_rsa_is_taken_where_that_is_configured(
    idp: Provider, own: Trust
) -> None:
    issuer = Issuer("rsa", rsa.generate_private_key(65537, 2048), idp.url)
    idp.publish(issuer)
    await verifier(opened([oidc(idp.url, algorithms=["RS256"])], own=own)).principal(issuer.token())
    with pytest.raises(errors.Unauthenticated):
        await verifier(opened([oidc(idp.url)], own=own)).principal(issuer.token())


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
    ],
)
async def test_a_discovery_document_that_does_not_fit_leads_nowhere(
    idp: Provider, page: dict[str, Any]
) -> None:
    idp.publish(Issuer(), **page)
    with pytest.raises(ValueError, match=r"discovery|https"):
        await discovered(idp.url)()


async def test_an_issuer_whose_name_ends_in_a_slash_is_asked_in_the_right_place(
    idp: Provider,
) -> None:
    idp.publish(Issuer("one"), issuer=idp.url + "/")
    assert (await discovered(idp.url + "/")())["keys"]
    with pytest.raises(ValueError, match="another issuer"):
        await discovered(idp.url)()


async def test_a_rotated_key_is_taken_and_the_old_one_goes(idp: Provider, own: Trust) -> None:
    old, new = Issuer("old", name=idp.url), Issuer("new", name=idp.url)
    idp.publish(old)
    rules = oidc(idp.url)
    keys = KeySet(idp.url, discovered(idp.url), clock=_Leaping())
    tokens = verifier(Issuers([own, Trust(rules, keys)]))
    await tokens.principal(old.token())
    idp.publish(new)
    await tokens.principal(new.token())
    with pytest.raises(errors.Unauthenticated):
        await tokens.principal(old.token(sub="lee"))


async def test_a_provider_s_outage_is_not_ours(idp: Provider, own: Trust) -> None:
    issuer = Issuer(name=idp.url)
    idp.publish(issuer)
    keys = KeySet(idp.url, discovered(idp.url), clock=_Leaping())
    tokens = verifier(Issuers([own, Trust(oidc(idp.url), keys)]))
    await tokens.principal(issuer.token())
    await idp.stop()
    assert not await keys.renew()
    await tokens.principal(issuer.token(sub="lee"))
    await idp.start()
    assert await keys.renew()


async def test_one_issuer_s_keys_are_enough_to_be_ready(
    tmp_path: Path, idp: Provider, own: Trust
) -> None:
    issuers = opened([oidc(idp.url)], own=own)
    with pytest.raises(errors.Unavailable):
        await issuers.ready()
    publish(tmp_path / "other.json", Issuer())
    await Issuers([own, trust(tmp_path / "other.json", "other")]).ready()


async def test_an_issuer_that_is_away_is_not_waited_for_to_be_ready(
    tmp_path: Path, idp: Provider, own: Trust
) -> None:
    publish(tmp_path / "own.json", Issuer())
    await own.keys.ready()
    await opened([oidc(idp.url)], own=own).ready()
    assert idp.asked == []


async def test_all_issuers_keys_are_read_in_the_background(idp: Provider, own: Trust) -> None:
    idp.publish(Issuer("one", name=idp.url))
    issuers = opened([oidc(idp.url)], own=own)
    async with issuers.fresh(300):
        await until(lambda: "/keys" in idp.asked, "the keys were read")


async def test_a_token_lives_no_longer_than_its_issuer_may_let_it(
    idp: Provider, own: Trust
) -> None:
    issuer = Issuer(name=idp.url)
    idp.publish(issuer)
    tokens = verifier(opened([oidc(idp.url, max_lifetime=600)], own=own))
    now = int(time.time())
    await tokens.principal(issuer.token(iat=now, exp=now + 600))
    with pytest.raises(errors.Unauthenticated):
        await tokens.principal(issuer.token(iat=now, exp=now + 601))


def test_a_revocation_is_remembered_as_long_as_any_token_can_live(own: Trust) -> None:
    assert opened([oidc("https://x", max_lifetime=600)], own=own).longest_lifetime == 31 * 86_400


async def test_a_discovery_document_beyond_all_measure_is_refused(idp: Provider) -> None:
    page = {"issuer": idp.url, "jwks_uri": f"{idp.url}/keys", "filler": "x" * 300_000}
    idp.serve("/.well-known/openid-configuration", json.dumps(page))
    idp.serve("/keys", jwks(Issuer()))
    with pytest.raises(ValueError, match="large"):
        await discovered(idp.url)()


class _Leaping:
    """Time in which every look at it is ten seconds after the one before."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        self._now += 10
        return self._now
