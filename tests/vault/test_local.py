"""The Vault that `make run` starts."""

import os
from pathlib import Path
from typing import Any

import pytest

from rag_local.vault import SERVICES, LocalVault, vault
from tests.parts import tool


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which a Vault has run once."""
    tool("bao", "pip install -e '.[dev]'")
    found = tmp_path_factory.mktemp("home")
    with vault(found, {"gateway/redis": {"password": "first"}}):
        return found


def version(root: Any) -> int:
    reply = root.secrets.kv.v2.read_secret_version(
        "rag/gateway/redis", raise_on_deleted_version=True
    )
    return int(reply["data"]["metadata"]["version"])


def test_a_second_start_finds_what_the_first_one_made(home: Path) -> None:
    with vault(home) as second:
        assert version(second.root()) == 1


def test_a_secret_that_is_the_same_is_not_written_again(home: Path) -> None:
    with vault(home, {"gateway/redis": {"password": "first"}}) as second:
        assert version(second.root()) == 1


def test_a_vault_has_ended_when_its_block_has(home: Path) -> None:
    with vault(home) as running:
        process = running.server._process
    assert process is not None
    assert process.poll() is not None


def test_the_process_is_told_no_secret_by_arguments_or_environment(local: LocalVault) -> None:
    process = local.server._process
    assert process is not None
    token = local.root().token
    for file in ("cmdline", "environ"):
        assert token.encode() not in Path(f"/proc/{process.pid}/{file}").read_bytes()


@pytest.mark.parametrize("service", SERVICES)
def test_credentials_are_their_owners_alone(local: LocalVault, service: str) -> None:
    folder = local.credentials(service)
    modes = [path.stat().st_mode & 0o777 for path in (folder / "role_id", folder / "secret_id")]
    assert modes == [0o600, 0o600]
    assert folder.stat().st_mode & 0o077 == 0


def test_root_token_and_unseal_key_are_their_owners_alone(local: LocalVault) -> None:
    assert os.stat(local.ca_file.parents[1] / "operator.json").st_mode & 0o077 == 0


def test_each_start_gets_a_wrapped_secret_id_of_its_own(local: LocalVault) -> None:
    first, second = (
        Path(local.environment("embedder")["EMBEDDER_VAULT_SECRET_ID_FILE"]).read_text()
        for _ in range(2)
    )
    assert first != second
