"""No secret shows itself: not in logs, not in a repr, not in an error, not in Vault's own audit."""

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from rag_common.settings import SettingsInvalid
from rag_common.vault.certificates import CertificateNames
from rag_common.vault.client import Vault, open_vault
from rag_common.vault.connection import SecretText
from rag_common.vault.settings import VaultOptions
from rag_local.backends.vault import LocalVault
from rag_local.backends.vault_setup import TOKEN_KEY
from tests.support.vault.audit import entries
from tests.support.vault.fixtures import Outage
from tests.support.waiting import until

MARK = "marked-secret-4f1c9a"
NAMES = CertificateNames.of("gateway", "rag-platform", ("gateway",))


@dataclass(frozen=True)
class Seen:
    """All that a life with Vault showed, and the secrets that it had."""

    text: str
    secrets: tuple[str, ...]


@pytest.fixture
def marked(root: Any) -> Iterator[str]:
    path = "rag/gateway/marked"
    root.secrets.kv.v2.create_or_update_secret(path, {"password": MARK})
    yield path
    root.secrets.kv.v2.delete_metadata_and_all_versions(path)


async def life(
    options: VaultOptions, path: str, root: Any, outage: Outage, caplog: pytest.LogCaptureFixture
) -> Seen:
    """Every object is made and used, fails and recovers; with what they all show of themselves."""
    caplog.set_level(logging.DEBUG)
    assert options.secret_id_file is not None
    assert options.role_id_file is not None
    wrapping = options.secret_id_file.read_text()
    with capture_logs() as lines:
        async with open_vault(options) as vault:
            secret = await vault.secret(path)
            certificates = await vault.certificates("gateway", NAMES, 3600)
            signer = await vault.signer(TOKEN_KEY)
            signed = await signer.sign({"sub": MARK})
            root.secrets.kv.v2.create_or_update_secret(path, {"password": f"{MARK}-2"})
            await until(lambda: secret.version == 2, "the second version")
            failures = [await failure(vault, name) for name in ("rag/generator/x", "rag/gateway/x")]
            await outage.stop()
            await until(lambda: not vault.state.ok, "a trouble")
            failures.append(await failure(vault, "rag/gateway/another"))
            await outage.back()
            await until(lambda: vault.state.ok, "all well again")
            session = vault._session
            lease = session._lease
            assert lease is not None
            key = certificates.current().key.decode().splitlines()[1]
            things = [options, vault, secret, certificates, certificates.current(), signer]
            things += [session, lease, vault.state, session._login, session._connection]
            things += [session._login.__dict__, secret.__dict__, secret._version]
            token, secret_id = (
                lease.token.get_secret_value(),
                session._login._secret_id.get_secret_value(),
            )
    shown = [f"{thing!r} {thing!s}" for thing in things]
    text = "\n".join([*shown, *map(str, lines), caplog.text, *failures])
    return Seen(text, (MARK, wrapping, token, secret_id, key, signed))


async def failure(vault: Vault, path: str) -> str:
    """What an error and all errors behind it say."""
    try:
        await vault.secret(path)
    except Exception as error:
        return "".join(traceback.format_exception(error))
    raise AssertionError("this was to fail")


async def test_no_secret_shows_in_logs_errors_and_what_objects_say_of_themselves(
    options: VaultOptions,
    marked: str,
    root: Any,
    outage: Outage,
    caplog: pytest.LogCaptureFixture,
) -> None:
    observed = await life(options, marked, root, outage, caplog)
    assert "SecretText('**********')" in observed.text
    assert "vault_degraded" in observed.text
    assert all(len(secret) > 10 for secret in observed.secrets)
    assert [secret for secret in observed.secrets if secret in observed.text] == []


async def test_the_audit_log_has_every_request_and_no_secret(
    local: LocalVault, options: VaultOptions, marked: str
) -> None:
    async with open_vault(options) as vault:
        await vault.secret(marked)
        lease = vault._session._lease
        assert lease is not None
        hidden = [
            MARK,
            lease.token.get_secret_value(),
            vault._session._login._secret_id.get_secret_value(),
        ]
    paths = {entry["request"].get("path") for entry in entries(local.audit_file)}
    assert {f"secret/data/{marked}", "auth/approle/login", "sys/wrapping/unwrap"} <= paths
    assert local.audit_file.stat().st_mode & 0o077 == 0
    text = local.audit_file.read_text()
    assert [secret for secret in hidden if secret in text] == []


async def test_a_refused_login_does_not_show_what_it_tried(
    options: VaultOptions, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "wrong").write_text(MARK)
    with pytest.raises(SettingsInvalid) as caught, capture_logs() as lines:
        async with open_vault(
            replace(options, secret_id_file=tmp_path / "wrong", secret_id_wrapped=False)
        ):
            pass
    reported = "".join(traceback.format_exception(caught.value))
    assert MARK not in reported + caplog.text + str(lines)


@pytest.mark.parametrize("show", [repr, str, format, lambda text: repr({"password": [text]})])
def test_a_secret_text_does_not_show_itself(show: Any) -> None:
    assert MARK not in show(SecretText(MARK))


@pytest.mark.parametrize("copying", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, vars])
def test_a_concealed_text_is_not_carried_elsewhere(copying: Any) -> None:
    with pytest.raises(TypeError):
        copying(SecretText(MARK))


def test_concealed_texts_are_equal_where_what_they_hide_is() -> None:
    assert SecretText(MARK) == SecretText(MARK)
    assert SecretText(MARK) != SecretText("another")
    assert SecretText(MARK) != MARK
