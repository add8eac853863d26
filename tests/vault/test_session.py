"""Staying logged in: renewal, new logins, and a Vault that goes away and comes back."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import hvac
import pytest
from structlog.testing import capture_logs

from rag_common.errors import Unavailable
from rag_common.vault.access import Vault, open_vault
from rag_common.vault.options import VaultOptions
from rag_local.vault import LocalVault
from tests.vault.audit import requests
from tests.vault.conftest import Outage, brief
from tests.waiting import until

LOGIN = "auth/approle/login"
RENEW = "auth/token/renew-self"


def tokens(root: Any, role: str) -> list[str]:
    """The accessors of a role's living tokens."""
    found = []
    for accessor in root.auth.token.list_accessors()["data"]["keys"]:
        try:
            data = root.auth.token.lookup_accessor(accessor)["data"]
        except hvac.exceptions.VaultError:
            continue
        if (data.get("meta") or {}).get("role_name") == role:
            found.append(accessor)
    return found


def revoke(root: Any, role: str) -> None:
    for accessor in tokens(root, role):
        root.auth.token.revoke_accessor(accessor)


async def trouble(vault: Vault) -> str:
    return await until(lambda: vault.state.error, "a trouble that the state tells")


async def test_a_token_is_renewed_before_it_ends(local: LocalVault, tmp_path: Path) -> None:
    options = brief(local, tmp_path, "renewing", "6s")
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


async def test_a_revoked_token_is_replaced_by_the_next_question(
    local: LocalVault, root: Any, tmp_path: Path
) -> None:
    options = brief(local, tmp_path, "revoked", "1h")
    async with open_vault(options) as vault:
        revoke(root, "revoked")
        assert (await vault.secret("rag/gateway/example")).get("number") == "1"
        assert len(tokens(root, "revoked")) == 1


async def test_a_new_login_needs_no_file(local: LocalVault, root: Any, tmp_path: Path) -> None:
    options = brief(local, tmp_path, "forgetful", "1h")
    async with open_vault(options) as vault:
        (tmp_path / "secret_id").unlink()
        revoke(root, "forgetful")
        assert (await vault.secret("rag/gateway/example")).version


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


async def test_a_token_is_given_back_at_the_end(
    local: LocalVault, root: Any, tmp_path: Path
) -> None:
    async with open_vault(brief(local, tmp_path, "leaving", "1h")):
        assert len(tokens(root, "leaving")) == 1
    assert tokens(root, "leaving") == []


async def test_a_login_that_is_refused_later_is_told_and_not_repeated_at_once(
    local: LocalVault, root: Any, tmp_path: Path
) -> None:
    options = brief(local, tmp_path, "dismissed", "1h")
    async with open_vault(options) as vault:
        secret = await vault.secret("rag/gateway/example")
        root.auth.approle.delete_role("dismissed")
        revoke(root, "dismissed")
        assert (
            await until(lambda: vault.state.troubles.get("login"), "a login refused") == "Refused"
        )
        before = attempts(local)
        for number in range(20):
            with pytest.raises(Unavailable):
                await vault.secret(f"rag/gateway/another-{number}")
        assert attempts(local) - before < 5
        assert secret.get("number") == "1"


def attempts(local: LocalVault) -> int:
    return local.audit_file.read_text().count(f'"path":"{LOGIN}"')


async def test_a_vault_that_goes_away_leaves_what_was_read(opened: Vault, outage: Outage) -> None:
    secret = await opened.secret("rag/gateway/example")
    await outage.stop()
    assert await trouble(opened) == "Unreachable"
    assert secret.get("password") == "password of gateway"


async def test_a_vault_that_goes_away_makes_the_service_degraded(
    opened: Vault, outage: Outage
) -> None:
    await opened.secret("rag/gateway/example")
    await opened.answering()
    await outage.stop()
    await trouble(opened)
    with pytest.raises(Unavailable) as raised:
        await opened.answering()
    assert raised.value.metadata == {"error": "Unreachable"}


async def test_the_state_tells_how_long_the_lease_lasts_and_since_when_it_is_so(
    opened: Vault, outage: Outage
) -> None:
    await opened.secret("rag/gateway/example")
    well = opened.state
    assert 3500 < well.lease_seconds <= 3600
    await outage.stop()
    await trouble(opened)
    assert opened.state.since > well.since


async def test_a_vault_that_is_sealed_later_is_told_as_sealed(
    opened: Vault, outage: Outage
) -> None:
    await opened.secret("rag/gateway/example")
    await outage.seal()
    await until(lambda: opened.state.error == "Sealed", "that Vault is sealed")


async def test_a_vault_that_comes_back_is_used_again(opened: Vault, outage: Outage) -> None:
    await opened.secret("rag/gateway/example")
    await outage.stop()
    await trouble(opened)
    await outage.back()
    await until(lambda: opened.state.ok, "all well again")


async def test_only_changes_are_logged(opened: Vault, outage: Outage) -> None:
    await opened.secret("rag/gateway/example")
    await opened.secret("rag/gateway/example")
    with capture_logs() as lines:
        await outage.stop()
        await trouble(opened)
        await outage.back()
        await until(lambda: opened.state.ok, "all well again")
    told = [line["event"] for line in lines if line.get("part") == "connection"]
    # Between down and back it is sealed for a moment, and may be seen so.
    assert told[-1] == "vault_restored"
    assert told.count("vault_restored") == 1
    assert told.count("vault_degraded") <= 3


async def test_a_token_that_ended_while_vault_was_away_is_followed_by_a_login(
    local: LocalVault, tmp_path: Path, outage: Outage
) -> None:
    async with open_vault(brief(local, tmp_path, "late", "2s")) as vault:
        secret = await vault.secret("rag/gateway/example")
        await outage.stop()
        await until(lambda: vault.state.lease_seconds == 0, "the end of the token")
        await outage.back()
        await until(lambda: vault.state.ok and vault.state.lease_seconds > 0, "a new login")
        await secret.look()


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
        made = root.auth.token.create(policies=["gateway"], ttl="5m")["auth"]
        (tmp_path / "token").write_text(made["client_token"])
        return str(made["accessor"])

    first = deliver()
    async with open_vault(replace(options, method="token", token_file=tmp_path / "token")) as vault:
        deliver()
        root.auth.token.revoke_accessor(first)
        assert (await vault.secret("rag/gateway/example")).get("number") == "1"
