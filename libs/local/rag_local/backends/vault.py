"""A local Vault, set up for the platform, and the settings with which each service uses it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hvac

from rag_local.backends.vault_server import VaultServer, write_private
from rag_local.backends.vault_setup import SERVICES, Secrets, Setup, set_up
from rag_local.program import StartFailed

_WRAP_TTL = "30m"
_OPERATOR_TTL = "12h"


class LocalVault:
    """A running Vault, with a role and a folder of credentials for each service.

    `address` is its URL, `ca_file` the root certificate that verifies its certificate, `audit_file` the
    log of every request and response, with hashed secrets.
    """

    def __init__(self, home: Path, server: VaultServer) -> None:
        self._home = home
        self.server = server
        self.address = server.address
        self.ca_file = server.ca_file
        self.audit_file = server.audit_file

    def root(self) -> Any:
        """A client with the root token."""
        return self.server.root()

    def credentials(self, service: str, label: str = "") -> Path:
        """A folder with the service's `role_id` and a new wrapped `secret_id`, valid for one start.

        Replicas, whose `label` differs, have folders of their own.
        """
        folder = self._home / (label or service)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        approle = self.root().auth.approle
        role_id = approle.read_role_id(service)["data"]["role_id"]
        wrapped = approle.generate_secret_id(service, wrap_ttl=_WRAP_TTL)["wrap_info"]
        write_private(folder / "role_id", role_id)
        write_private(folder / "secret_id", wrapped["token"])
        return folder

    def environment(self, service: str, label: str = "") -> dict[str, str]:
        """The settings for one login of the service; each start needs new ones. `label` as above."""
        folder = self.credentials(service, label).resolve()
        settings = {
            "ADDRESS": self.address,
            "AUTH": "approle",
            "ROLE": service,
            "CA_FILE": str(self.ca_file.resolve()),
            "ROLE_ID_FILE": str(folder / "role_id"),
            "SECRET_ID_FILE": str(folder / "secret_id"),
            "DNS_NAMES": f"{service},localhost",
            "ADDRESSES": "127.0.0.1",
        }
        return {f"{service.upper()}_VAULT_{name}": value for name, value in settings.items()}

    def operator_token(self) -> Path:
        """A file with a token for the operator, which allows creating API tokens and nothing else."""
        reply = self.root().auth.token.create_orphan(
            policies=["operator"], no_default_policy=True, ttl=_OPERATOR_TTL
        )
        folder = self._home / "operator"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(folder / "token", reply["auth"]["client_token"])
        return folder / "token"


@contextmanager
def vault(
    home: Path,
    secrets: Secrets | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    setup: Setup | None = None,
) -> Iterator[LocalVault]:
    """Run a Vault inside the block, unsealed and set up, with its data in `home`/vault.

    It listens at `host`. `secrets` maps a service's path, such as "gateway/redis", to its fields. Raises
    StartFailed.
    """
    folder = home / "vault"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    server = VaultServer(folder, port, host)
    try:
        server.start()
        server.unseal()
        _set_up(server, setup or Setup(), secrets or {})
        yield LocalVault(folder, server)
    finally:
        server.stop()


def _set_up(server: VaultServer, setup: Setup, secrets: Secrets) -> None:
    try:
        set_up(server.root(), setup, secrets)
    except hvac.exceptions.VaultError as error:
        raise StartFailed(
            f"Vault at {server.address} could not be set up: {error}; if an earlier start left an "
            "incomplete data folder, remove it"
        ) from error


__all__ = ["SERVICES", "LocalVault", "Setup", "vault"]
