"""Staying logged in: renewal, new logins, and a Vault that goes away and comes back."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import hvac
import pytest
from structlog.testing import capture_logs

from rag_common.vault.client import Vault, open_vault
from rag_common.vault.settings import VaultOptions
from rag_contract.errors import Unavailable
from rag_local.backends.vault import LocalVault
from tests.support.vault.audit import requests
from tests.support.vault.fixtures import Outage, brief
from tests.support.waiting import until

LOGIN = "auth/approle/login"
RENEW = "auth/token/renew-self"


def tokens(root: Any, role: str) -> list[str]:
    """The accessors of a role's living tokens."""
    result = []
    for accessor in root.auth.token.list_accessors()["data"]["keys"]:
        try:
            data = root.auth.token.lookup_accessor(accessor)["data"]
        except hvac.exceptions.VaultError:
            continue
        if (data.get("meta") or {}).get("role_name") == role:
            result.append(accessor)
    return result


def revoke(root: Any, role: str) -> None:
    for accessor in tokens(root, role):
        root.auth.token.revoke_accessor(accessor)


async def test_a_token_is_renewed_before_it_ends(local: LocalVault, tmp_path: Path) -> None:
    options = brief(local, tmp_path, "renewing", "4s")
    async with open_vault(options):
        await until(lambda: len(requests(local.audit_file, RENEW, "renewing")) >= 2, "two renewals")
    assert len(requests(local.audit_file, LOGIN, "renewing")) == 1


async def test_a_token_at_its_longest_life_is_followed_by_a_new_login(
    local: LocalVault, tmp_path: Path
) -> None:
    options = brief(local, tmp_path, "ageing", "2s", "3s")
    async with open_vault(options) as vault:
        await until(lambda: len(requests(local.audit_file, LOGIN, "ageing")) >= 2, "two logins")
        assert vault.state.ok
    # It was not renewed for ever shorter times until it ended.
    logins = len(requests(local.audit_file, LOGIN, "ageing"))
    assert len(requests(local.audit_file, RENEW, "ageing")) <= 2 * logins


async def test_a_revoked_token_is_replaced_without_the_file_of_the_first_login(
    local: LocalVault, root: Any, tmp_path: Path
) -> None:
    options = brief(local, tmp_path, "revoked", "1h")
    async with open_vault(options) as vault:
        (tmp_path / "secret_id").unlink()
        revoke(root, "revoked")
        assert (await vault.secret("rag/gateway/example")).get("number") == "1"
        assert len(tokens(root, "revoked")) == 1
    assert tokens(root, "revoked") == []


async def test_a_newly_delivered_wrapped_secret_id_is_taken_at_the_next_login(
    local: LocalVault, root: Any, tmp_path: Path
) -> None:
    options = brief(local, tmp_path, "redelivered", "1h")
    async with open_vault(options) as vault:
        approle = root.auth.approle
        for accessor in approle.list_secret_id_accessors("redelivered")["data"]["keys"]:
            approle.destroy_secret_id_accessor("redelivered", accessor)
        revoke(root, "redelivered")
        wrapped = approle.generate_secret_id("redelivered", wrap_ttl="1m")["wrap_info"]["token"]
        (tmp_path / "secret_id").write_text(wrapped)
        assert (await vault.secret("rag/gateway/example")).version


async def test_a_login_that_is_refused_later_is_told_and_not_repeated_at_once(
    local: LocalVault, root: Any, tmp_path: Path
) -> None:
    options = brief(local, tmp_path, "dismissed", "1h")
    async with open_vault(options) as vault:
        secret = await vault.secret("rag/gateway/example")
        root.auth.approle.delete_role("dismissed")
        revoke(root, "dismissed")
        assert await until(lambda: vault.state.errors.get("login"), "a login refused") == "Refused"
        before = attempts(local)
        for number in range(10):
            with pytest.raises(Unavailable):
                await vault.secret(f"rag/gateway/another-{number}")
        assert attempts(local) - before < 5
        assert secret.get("number") == "1"


def attempts(local: LocalVault) -> int:
    return local.audit_file.read_text().count(f'"path":"{LOGIN}"')


async def test_an_outage_degrades_the_service_and_ends_with_it(
    opened: Vault, outage: Outage
) -> None:
    secret = await opened.secret("rag/gateway/example")
    await opened.check_health()
    before = opened.state
    assert 3500 < before.lease_seconds <= 3600
    with capture_logs() as lines:
        await outage.stop()
        assert await until(lambda: opened.state.error, "the outage is noticed") == "Unreachable"
        assert opened.state.since > before.since
        assert secret.get("password") == "password of gateway"
        with pytest.raises(Unavailable) as raised:
            await opened.check_health()
        assert raised.value.metadata == {"error": "Unreachable"}
        await outage.back()
        await until(lambda: opened.state.ok, "Vault is used again")
    events = [line["event"] for line in lines if line.get("part") == "connection"]
    # Between down and back it is sealed for a moment, and may be seen so.
    assert events[-1] == "vault_restored"
    assert events.count("vault_restored") == 1
    assert events.count("vault_degraded") <= 3


async def test_a_vault_that_is_sealed_is_reported_as_sealed(opened: Vault, outage: Outage) -> None:
    await opened.secret("rag/gateway/example")
    await outage.seal()
    await until(lambda: opened.state.error == "Sealed", "that Vault is sealed")


async def test_a_token_that_ended_while_vault_was_away_is_followed_by_a_login(
    local: LocalVault, tmp_path: Path, outage: Outage
) -> None:
    async with open_vault(brief(local, tmp_path, "late", "2s")) as vault:
        secret = await vault.secret("rag/gateway/example")
        await outage.stop()
        await until(lambda: vault.state.lease_seconds == 0, "the end of the token")
        await outage.back()
        await until(lambda: vault.state.ok and vault.state.lease_seconds > 0, "a new login")
        await secret.refresh()


async def test_a_service_that_is_forbidden_a_path_does_not_log_in_again(
    local: LocalVault, tmp_path: Path
) -> None:
    async with open_vault(brief(local, tmp_path, "curious", "1h")) as vault:
        with pytest.raises(Exception, match="does not let this service read"):
            await vault.secret("rag/retriever/example")
        assert vault.state.ok
    assert len(requests(local.audit_file, LOGIN, "curious")) == 1


async def test_a_token_in_a_file_that_an_agent_replaced_is_read_again(
    options: VaultOptions, root: Any, tmp_path: Path
) -> None:
    def deliver() -> str:
        created = root.auth.token.create(policies=["gateway"], ttl="5m")["auth"]
        (tmp_path / "token").write_text(created["client_token"])
        return str(created["accessor"])

    first = deliver()
    async with open_vault(replace(options, method="token", token_file=tmp_path / "token")) as vault:
        deliver()
        root.auth.token.revoke_accessor(first)
        assert (await vault.secret("rag/gateway/example")).get("number") == "1"
