"""Where certificate and secrets come from: what a setting may say, and what is said of one that may not."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography import x509
from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from rag_common.grpc.ports import ServerSecurity
from rag_common.identity import ServiceIdentity, open_identity
from rag_common.security.peer_identity import only
from rag_common.settings import SettingsInvalid
from rag_common.vault.settings import VaultSettings
from rag_contract.errors import Unavailable
from rag_local.backends.vault import LocalVault, vault
from tests.support.authority import Authority
from tests.support.parts import tool
from tests.support.waiting import until

NOTHING = ServiceIdentity(None, None, {})
FIRST, ANOTHER = "first", "another"
STORED = {"generator/llm": {"api_key": FIRST}, "gateway/redis": {"password": FIRST}}


class Settings(VaultSettings):
    """A generator's, as far as trust goes."""

    model_config = SettingsConfigDict(env_prefix="TESTED_")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalVault]:
    """A real Vault."""
    tool("bao", "make run VAULT=1, or make test")
    with vault(tmp_path_factory.mktemp("vault"), STORED) as running:
        yield running


def located(local: LocalVault) -> dict[str, Any]:
    """The settings by which a generator finds Vault, for one start."""
    environment = local.environment("generator")
    own = {name.removeprefix("GENERATOR_").lower(): text for name, text in environment.items()}
    return {**own, "vault_poll": 0.05}


@pytest_asyncio.fixture(scope="module")
async def trust(local: LocalVault) -> AsyncIterator[ServiceIdentity]:
    """A generator's identity, with secrets from Vault."""
    async with open_identity(Settings.load(**located(local)), "generator") as opened:
        yield opened


@pytest.mark.parametrize("text", ["", "a password", "vaulted:a#b", " vault:a#b"])
async def test_what_is_no_reference_is_the_secret_itself(text: str) -> None:
    live = await NOTHING.secret(SecretStr(text), "GENERATOR_OPENAI_API_KEY")
    assert live() == text


@pytest.mark.parametrize(
    "text",
    ["vault:", "vault:a", "vault:a#", "vault:#b", "vault:a b#c", "vault:a#b#c", "vault:a.b#c"],
)
async def test_an_invalid_reference_is_named_by_its_variable_and_not_repeated(
    trust: ServiceIdentity, text: str
) -> None:
    with pytest.raises(SettingsInvalid, match="GENERATOR_OPENAI_API_KEY") as raised:
        await trust.secret(SecretStr(text), "GENERATOR_OPENAI_API_KEY")
    assert "vault:PATH#FIELD" in str(raised.value)
    assert text not in str(raised.value).replace("vault:PATH#FIELD", "")


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("vault:rag/generator/nothing#api_key", "there is no secret .*rag/generator/nothing"),
        ("vault:rag/generator/llm#password", "has no text field password"),
        ("vault:rag/gateway/redis#password", "does not let this service read"),
        (None, r"GENERATOR_OPENAI_API_KEY .* VAULT_ADDRESS"),
    ],
)
async def test_a_secret_that_cannot_be_read_ends_the_start_with_the_reason(
    trust: ServiceIdentity, reference: str | None, why: str
) -> None:
    identity = trust if reference else NOTHING
    secret = SecretStr(reference or "vault:rag/generator/llm#api_key")
    with pytest.raises(SettingsInvalid, match=why):
        await identity.secret(secret, "GENERATOR_OPENAI_API_KEY")


async def test_a_reference_is_what_vault_holds_at_each_moment(
    local: LocalVault, trust: ServiceIdentity
) -> None:
    live = await trust.secret(SecretStr("vault:rag/generator/llm#api_key"), "X")
    kv = local.root().secrets.kv.v2
    for secret in (ANOTHER, FIRST):
        kv.create_or_update_secret("rag/generator/llm", {"api_key": secret})
        await until(lambda secret=secret: live() == secret, "the new secret")


async def test_without_settings_nothing_is_trusted_and_nothing_is_wanted() -> None:
    async with open_identity(Settings.load(), "generator") as opened:
        assert opened == NOTHING
        assert opened.certificates is None


async def test_a_certificate_may_come_from_a_folder(tmp_path: Path) -> None:
    created = Authority().lay(tmp_path, "generator")
    async with open_identity(Settings.load(tls="files", tls_dir=tmp_path), "generator") as opened:
        assert opened.certificates
        assert opened.certificates.current() == created
        assert opened.optional_checks == {}
        security = ServerSecurity(
            certificates=opened.certificates, callers={"/x/*": only("gateway")}
        )
        assert security.caller_policy("rag-platform")


async def test_a_certificate_from_vault_has_the_services_names_and_is_watched(
    local: LocalVault,
) -> None:
    settings = Settings.load(**{**located(local), "vault_dns_names": "", "tls": "vault"})
    async with open_identity(settings, "generator") as opened:
        assert set(opened.optional_checks) == {"secrets", "certificate"}
        assert opened.certificates
        leaf = x509.load_pem_x509_certificates(opened.certificates.current().chain)[0]
        for check in opened.optional_checks.values():
            await check()
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["generator", "localhost"]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [
        "spiffe://rag-platform/generator"
    ]


@pytest.mark.parametrize(
    ("variables", "error", "why"),
    [
        ({"tls": "vault"}, SettingsInvalid, r"TESTED_TLS is vault, but TESTED_VAULT_ADDRESS"),
        ({"vault_address": "https://127.0.0.1:1"}, Unavailable, "is not reachable"),
    ],
    ids=["no address", "unreachable"],
)
async def test_a_vault_that_is_needed_and_not_there_ends_the_start(
    local: LocalVault, variables: dict[str, str], error: type[Exception], why: str
) -> None:
    base = {} if "tls" in variables else located(local)
    with pytest.raises(error, match=why):
        async with open_identity(Settings.load(**{**base, **variables}), "generator"):
            pass
