"""The container beside Envoy keeps its certificates current, with Vault and without."""

import asyncio
import json
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509

from rag_common.security.certificates import Certificate
from rag_common.vault.settings import VaultOptions
from rag_edge.companion.certificates import CertificateWriter, folder_certificates
from rag_edge.companion.folders import seconds_left, write_certificate
from rag_edge.companion.settings import Settings
from rag_local.backends.envoy import edge
from rag_local.backends.vault import LocalVault
from tests.component.edge.test_companion_drain import values
from tests.component.edge.test_upstream import load
from tests.support.edge.companion import Companion, companion, write_once
from tests.support.edge.fixtures import Setting, passes
from tests.support.edge.gateway import Signer, gateway
from tests.support.observability.fixtures import threaded
from tests.support.vault.fixtures import Outage
from tests.support.waiting import until

NAMES = "localhost,edge"


@pytest.fixture
def entrance(local: LocalVault, root: Any) -> dict[str, Any]:
    """The settings with which the companion may log in as often as it wants."""
    folder = local.credentials("edge")
    secret = root.auth.approle.generate_secret_id("edge")["data"]["secret_id"]
    folder.joinpath("plain").write_text(secret)
    return {
        "vault_address": local.address,
        "vault_auth": "approle",
        "vault_ca_file": local.ca_file.resolve(),
        "vault_role_id_file": (folder / "role_id").resolve(),
        "vault_secret_id_file": (folder / "plain").resolve(),
        "vault_secret_id_wrapped": "false",
    }


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    return {"certificates": tmp_path / "public", "identity": tmp_path / "identity"}


def names(folder: Path) -> list[str]:
    """The names in the folder's certificate."""
    leaf = x509.load_pem_x509_certificates((folder / "tls.crt").read_bytes())[0]
    extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return [str(one.value) for one in extension.value]


async def test_the_first_certificates_are_there_before_envoy_is(
    entrance: dict[str, Any], folders: dict[str, Path]
) -> None:
    assert await write_once(**entrance, **folders, public_names=NAMES) == (0, "")
    assert names(folders["certificates"]) == ["localhost", "edge"]
    assert names(folders["identity"]) == ["edge", "spiffe://rag-platform/edge"]
    for folder in folders.values():
        # The key fits the certificate, or this raises.
        context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        assert (folder / "tls.key").stat().st_mode & 0o777 == 0o640


async def test_without_public_names_the_certificate_for_clients_comes_from_elsewhere(
    entrance: dict[str, Any], folders: dict[str, Path]
) -> None:
    assert (await write_once(**entrance, **folders))[0] == 0
    assert folders["identity"].is_dir()
    assert not folders["certificates"].exists()


async def test_without_vault_there_is_nothing_to_write(folders: dict[str, Path]) -> None:
    assert (await write_once(**folders, public_names=NAMES))[0] == 0
    assert not any(folder.exists() for folder in folders.values())


async def test_names_that_the_role_does_not_allow_are_refused_in_one_sentence(
    entrance: dict[str, Any], folders: dict[str, Path]
) -> None:
    code, output = await write_once(**entrance, **folders, public_names="bank.example")
    assert (code, output.count("\n")) == (2, 1)
    assert "pki/sign/edge" in output


async def test_while_vault_is_away_the_first_start_fails_and_a_later_one_goes_on(
    entrance: dict[str, Any], folders: dict[str, Path], outage: Outage
) -> None:
    settings = {**entrance, **folders, "public_names": NAMES, "drain_delay": 0}
    assert (await write_once(**settings))[0] == 0
    before = folders["identity"].joinpath("tls.crt").read_bytes()
    await outage.stop()
    code, output = await write_once(**settings)
    assert (code, output.count("\n")) == (2, 1)
    async with companion(**settings) as running:
        assert await ready(running) == (200, {"status": "ready", "vault": False})
        assert folders["identity"].joinpath("tls.crt").read_bytes() == before
        await outage.back()

        async def connected() -> bool:
            return (await ready(running))[1]["vault"] is True

        await until(connected, "Vault is back")
        assert folders["identity"].joinpath("tls.crt").read_bytes() != before
        page = await running.page("/metrics")
        assert page is not None
        assert 'rag_secrets_up{service="edge"} 1.0' in page.text


async def test_without_a_valid_certificate_it_is_not_ready(
    entrance: dict[str, Any], folders: dict[str, Path], outage: Outage
) -> None:
    await outage.stop()
    async with companion(**entrance, **folders) as running:
        assert await ready(running) == (503, {"status": "certificate_expired", "vault": False})


async def ready(running: Companion) -> tuple[int, dict[str, Any]]:
    page = await running.page("/health/ready")
    assert page is not None
    return page.status_code, json.loads(page.text)


@pytest.fixture
def options(entrance: dict[str, Any]) -> VaultOptions:
    made = Settings(**entrance).vault_options("edge")
    assert made is not None
    return made


async def test_a_renewed_certificate_is_served_and_calls_go_on(
    options: VaultOptions, tmp_path: Path
) -> None:
    """Certificates that live for four seconds are renewed several times under load."""
    folder = tmp_path / "certificates" / "edge"
    wanted = folder_certificates(
        Settings(identity=tmp_path / "identity", certificates=folder, public_names=NAMES)
    )
    writer = CertificateWriter(options, wanted, 4)
    async with gateway() as behind, threaded(edge(tmp_path, values(behind))) as started:
        signer = Signer()
        behind.keys = [signer.jwk]
        own = replace(started, ca=folder / "ca.crt")
        keeping = asyncio.create_task(writer.keep_current())
        await until(lambda: (folder / "..data").exists(), "the first certificate is there")
        placed = Setting(own, behind, signer)
        await until(lambda: _passes_with_vaults(placed), "Vault's certificate is served")
        seen: set[str] = set()

        async def renewed() -> bool:
            address = ("127.0.0.1", started.port)
            seen.add(await asyncio.to_thread(ssl.get_server_certificate, address))
            return len(seen) > 2

        async with load(placed, callers=2) as done:
            await until(renewed, "two renewed certificates are served")
        assert not done.failures
        keeping.cancel()


async def _passes_with_vaults(placed: Setting) -> bool:
    try:
        return await passes(placed)
    except httpx.ConnectError:
        return False


def test_a_folder_changes_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    for number in (b"1", b"2", b"3"):
        write_certificate(folder, Certificate(number, number, number, 0.0))
        assert {path.read_bytes() for path in folder.glob("[!.]*")} == {number}
    versions = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    assert len(versions) == 1
    assert seconds_left(folder) == 0
