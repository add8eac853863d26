"""The settings by which a service finds Vault."""

import pytest
from pydantic_settings import SettingsConfigDict

from rag_common.settings import SettingsInvalid
from rag_common.vault.client import open_vault
from rag_common.vault.settings import VaultSettings
from rag_local.backends.vault import LocalVault


class Settings(VaultSettings):
    """A gateway with no settings but these."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_")


def test_without_an_address_there_is_no_vault() -> None:
    assert Settings.load().vault_options("gateway") is None


def test_the_role_is_the_service_where_no_other_is_named() -> None:
    options = Settings.load(vault_address="https://vault:8200").vault_options("gateway")
    assert options is not None
    assert (options.role, options.method, options.login_mount) == (
        "gateway",
        "kubernetes",
        "kubernetes",
    )


@pytest.mark.parametrize(("name", "value"), [("address", "vault:8200"), ("auth", "password")])
def test_an_invalid_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"GATEWAY_VAULT_{name.upper()}"):
        Settings.load(**{f"vault_{name}": value})


def test_no_setting_takes_a_secret_itself() -> None:
    named = [name for name in VaultSettings.model_fields if "token" in name or "secret" in name]
    assert sorted(named) == [
        "vault_secret_id_file",
        "vault_secret_id_wrapped",
        "vault_token_file",
    ]


async def test_what_the_local_vault_tells_a_service_lets_it_in(
    local: LocalVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in local.environment("gateway").items():
        monkeypatch.setenv(name, value)
    options = Settings.load().vault_options("gateway")
    assert options is not None
    async with open_vault(options) as vault:
        assert (await vault.secret("rag/gateway/example")).get("number") == "1"
