"""One real Vault for all tests, and the ways in which they get at it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from rag_common.vault.client import Vault, open_vault
from rag_common.vault.settings import VaultOptions
from rag_local.backends.vault import LocalVault, vault
from tests.support.parts import tool
from tests.support.vault.neighbours import Kubernetes, Recorder, Silence

SECRETS = {
    f"{service}/example": {"password": f"password of {service}", "number": "1"}
    for service in ("gateway", "retriever", "generator")
}


class Outage:
    """Ends the shared Vault, or seals it, and brings it back."""

    def __init__(self, local: LocalVault) -> None:
        self._local = local
        self._stopped = False

    async def stop(self) -> None:
        self._stopped = True
        await asyncio.to_thread(self._local.server.stop)

    async def seal(self) -> None:
        await self.stop()
        await asyncio.to_thread(self._local.server.start)

    async def back(self) -> None:
        if not self._stopped:
            return
        await asyncio.to_thread(self._restart)
        self._stopped = False

    def _restart(self) -> None:
        self._local.server.stop()
        self._local.server.start()
        self._local.server.unseal()


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalVault]:
    """The Vault, set up as `make run` sets it up."""
    tool("bao", "make run VAULT=1, or make test")
    with vault(tmp_path_factory.mktemp("vault"), SECRETS) as running:
        yield running


@pytest.fixture(scope="session")
def root(local: LocalVault) -> Any:
    """A client that may do everything."""
    return local.root()


@pytest.fixture
def options(local: LocalVault) -> VaultOptions:
    """The gateway's way in."""
    return entrance(local, "gateway")


@pytest_asyncio.fixture
async def opened(options: VaultOptions) -> AsyncIterator[Vault]:
    """Vault as the gateway has it."""
    async with open_vault(options) as result:
        yield result


@pytest_asyncio.fixture
async def outage(local: LocalVault) -> AsyncIterator[Outage]:
    """Takes the Vault away; it is back after the test."""
    ending = Outage(local)
    yield ending
    await ending.back()


@pytest_asyncio.fixture
async def silence() -> AsyncIterator[Silence]:
    """Somebody who takes requests and never answers."""
    async with Silence() as result:
        yield result


@pytest_asyncio.fixture
async def kubernetes() -> AsyncIterator[Kubernetes]:
    """An API server that reviews tokens."""
    async with Kubernetes() as result:
        yield result


@pytest_asyncio.fixture
async def recorder(local: LocalVault) -> AsyncIterator[Recorder]:
    """Stands before the Vault and writes down what it is sent."""
    async with Recorder(local.address, local.ca_file) as result:
        yield result


def entrance(local: LocalVault, service: str) -> VaultOptions:
    """A service's way in, for one start."""
    folder = local.credentials(service)
    return VaultOptions(
        address=local.address,
        method="approle",
        role=service,
        ca_file=local.ca_file,
        role_id_file=folder / "role_id",
        secret_id_file=folder / "secret_id",
        poll=0.05,
    )


def brief(
    local: LocalVault, folder: Path, role: str, ttl: str, longest: str = "1h"
) -> VaultOptions:
    """A way in of the test's own with the gateway's policy, whose tokens live as long as said."""
    approle = local.root().auth.approle
    approle.create_or_update_approle(
        role,
        token_policies=["gateway"],
        token_no_default_policy=True,
        token_ttl=ttl,
        token_max_ttl=longest,
    )
    (folder / "role_id").write_text(approle.read_role_id(role)["data"]["role_id"])
    wrapped = approle.generate_secret_id(role, wrap_ttl="5m")["wrap_info"]["token"]
    (folder / "secret_id").write_text(wrapped)
    return replace(
        entrance(local, "gateway"),
        role=role,
        role_id_file=folder / "role_id",
        secret_id_file=folder / "secret_id",
    )
