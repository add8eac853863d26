"""The Vault that `make run` starts."""

from pathlib import Path
from typing import Any

import pytest

from rag_local.backends.vault import SERVICES, LocalVault, vault
from tests.support.parts import tool


def version(root: Any) -> int:
    reply = root.secrets.kv.v2.read_secret_version(
        "rag/gateway/redis", raise_on_deleted_version=True
    )
    return int(reply["data"]["metadata"]["version"])


def test_a_second_start_finds_what_the_first_one_made_and_writes_no_secret_again(
    tmp_path: Path,
) -> None:
    tool("bao", "make run VAULT=1, or make test")
    for _ in range(2):
        with vault(tmp_path, {"gateway/redis": {"password": "first"}}) as running:
            assert version(running.root()) == 1
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
    for private in (folder, local.ca_file.parents[1] / "operator.json"):
        assert private.stat().st_mode & 0o077 == 0


def test_each_start_gets_a_wrapped_secret_id_of_its_own(local: LocalVault) -> None:
    first, second = (
        Path(local.environment("embedder")["EMBEDDER_VAULT_SECRET_ID_FILE"]).read_text()
        for _ in range(2)
    )
    assert first != second
