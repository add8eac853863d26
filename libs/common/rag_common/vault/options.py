"""Where Vault is, and how a service shows who it is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from rag_common.settings import SettingsInvalid, is_loopback

Method = Literal["token", "approle", "kubernetes"]

# Kubernetes puts the pod's own token here.
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


@dataclass(frozen=True, slots=True)
class VaultOptions:
    """Paths of secrets and never the secrets: those are read when they are needed.

    `address` is a URL; `ca_file` the roots that its certificate is checked with, or None for those
    that requests brings along. `role` names the role, and for AppRole is what a wrapped secret id
    must have been made for. `auth_mount` is the method's own name where empty. `timeout` bounds one
    request, `poll` is the time between looks at a secret; both in seconds.
    """

    address: str
    method: Method
    role: str = ""
    auth_mount: str = ""
    namespace: str = ""
    ca_file: Path | None = None
    token_file: Path | None = None
    role_id_file: Path | None = None
    secret_id_file: Path | None = None
    secret_id_wrapped: bool = True
    jwt_file: Path = SERVICE_ACCOUNT
    kv_mount: str = "secret"
    pki_mount: str = "pki"
    transit_mount: str = "transit"
    timeout: float = 5.0
    poll: float = 5.0

    @property
    def login_mount(self) -> str:
        """Where the method is mounted."""
        return self.auth_mount or self.method

    def require_usable(self) -> None:
        """Raise SettingsInvalid where a token would travel in the clear, or the roots are missing."""
        url = urlsplit(self.address)
        if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname or "")):
            raise SettingsInvalid(
                f"Vault's address {self.address} is not https, and a token is not sent in the clear"
            )
        if self.ca_file and not self.ca_file.is_file():
            raise SettingsInvalid(f"the file of Vault's roots {self.ca_file} is not there")
