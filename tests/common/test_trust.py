"""Where certificate and secrets come from: what a setting may say, and what is said of one that may not."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography import x509
from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from rag_common.errors import Unavailable
from rag_common.rpc.callers import only
from rag_common.settings import SettingsInvalid
from rag_common.trust import Trust, trusted
from rag_common.vault.settings import VaultSettings
from rag_local.vault import LocalVault, vault
from tests.authority import Authority
from tests.parts import tool
from tests.waiting import until

NOTHING = Trust(None, None, {})
FIRST, ANOTHER = "first", "another"
HELD = {"generator/llm": {"api_key": FIRST}, "gateway/redis": {"password": FIRST}}


class Settings(VaultSettings):
    """A generator's, as far as trust goes."""

    model_config = SettingsConfigDict(env_prefix="TESTED_")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalVault]:
    """A real Vault."""
    tool("bao", "pip install -e '.[dev]'")
    with vault(tmp_path_factory.mktemp("vault"), HELD) as running:
        yield running


@pytest.fixture
def told(local: LocalVault) -> dict[str, Any]:
    """What tells a generator where Vault is, for one start."""
    environment = local.environment("generator")
    own = {name.removeprefix("GENERATOR_").lower(): text for name, text in environment.items()}
    return {**own, "vault_poll": 0.05}


@pytest_asyncio.fixture
async def trust(told: dict[str, Any]) -> AsyncIterator[Trust]:
    """A generator's trust, with secrets from Vault."""
    async with trusted(Settings.load(**told), "generator") as opened:
        yield opened


@pytest.mark.parametrize("text", ["", "a password", "vaulted:a#b", " vault:a#b"])
async def test_what_is_no_reference_is_the_secret_itself(text: str) -> None:
    live = await NOTHING.secret(SecretStr(text), "GENERATOR_OPENAI_API_KEY")
    assert live() == text


@pytest.mark.parametrize(
    "text",
    ["vault:", "vault:a", "vault:a#", "vault:#b", "vault:a b#c", "vault:a#b#c", "vault:a.b#c"],
)
async def test_an_unfit_reference_is_told_by_its_variable_and_not_repeated(
    trust: Trust, text: str
) -> None:
    with pytest.raises(SettingsInvalid, match="GENERATOR_OPENAI_API_KEY") as raised:
        await trust.secret(SecretStr(text), "GENERATOR_OPENAI_API_KEY")
    assert "vault:PATH#FIELD" in str(raised.value)
    assert text not in str(raised.value).replace("vault:PATH#FIELD", "")


async def test_a_reference_without_vault_says_that_there_is_none() -> None:
    with pytest.raises(SettingsInvalid, match=r"GENERATOR_OPENAI_API_KEY .* VAULT_ADDRESS"):
        await NOTHING.secret(
            SecretStr("vault:rag/generator/llm#api_key"), "GENERATOR_OPENAI_API_KEY"
        )


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("vault:rag/generator/nothing#api_key", "there is no secret .*rag/generator/nothing"),
        ("vault:rag/generator/llm#password", "has no text field password"),
        ("vault:rag/gateway/redis#password", "does not let this service read"),
    ],
)
async def test_what_vault_does_not_give_ends_the_start_with_why(
    trust: Trust, reference: str, why: str
) -> None:
    with pytest.raises(SettingsInvalid, match=why):
        await trust.secret(SecretStr(reference), "GENERATOR_OPENAI_API_KEY")


async def test_a_reference_is_what_vault_holds_at_each_moment(
    local: LocalVault, trust: Trust
) -> None:
    live = await trust.secret(SecretStr("vault:rag/generator/llm#api_key"), "X")
    kv = local.root().secrets.kv.v2
    before = live()
    kv.create_or_update_secret("rag/generator/llm", {"api_key": ANOTHER})
    await until(lambda: live() == ANOTHER, "the new secret")
    assert before == FIRST


async def test_without_settings_nothing_is_trusted_and_nothing_is_wanted() -> None:
    async with trusted(Settings.load(), "generator") as opened:
        assert opened == NOTHING
        assert opened.guard({}).policy("rag-platform") is None


async def test_a_certificate_may_come_from_a_folder(tmp_path: Path) -> None:
    made = Authority().lay(tmp_path, "generator")
    async with trusted(Settings.load(tls="files", tls_dir=tmp_path), "generator") as opened:
        assert opened.certificates
        assert opened.certificates.current() == made
        assert opened.wants == {}
        assert opened.guard({"/x/*": only("gateway")}).policy("rag-platform")


async def test_a_certificate_from_vault_has_the_services_names_and_is_watched(
    told: dict[str, Any],
) -> None:
    settings = Settings.load(**{**told, "vault_dns_names": "", "tls": "vault"})
    async with trusted(settings, "generator") as opened:
        assert set(opened.wants) == {"secrets", "certificate"}
        assert opened.certificates
        leaf = x509.load_pem_x509_certificates(opened.certificates.current().chain)[0]
        for check in opened.wants.values():
            await check()
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["generator", "localhost"]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [
        "spiffe://rag-platform/generator"
    ]


async def test_a_certificate_from_vault_needs_one() -> None:
    with pytest.raises(SettingsInvalid, match=r"TESTED_TLS is vault, and TESTED_VAULT_ADDRESS"):
        async with trusted(Settings.load(tls="vault"), "generator"):
            pass


async def test_a_vault_that_is_away_is_unavailable(told: dict[str, Any]) -> None:
    settings = Settings.load(**{**told, "vault_address": "https://127.0.0.1:1"})
    with pytest.raises(Unavailable, match="is not reachable"):
        async with trusted(settings, "generator"):
            pass
