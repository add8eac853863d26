"""The settings of a service's connection to Vault and its login there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from rag_common.settings import Seconds, ServiceSettings, SettingsInvalid
from rag_contract.hosts import is_loopback

Method = Literal["token", "approle", "kubernetes"]

# Kubernetes puts the pod's own token here.
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


@dataclass(frozen=True, slots=True)
class VaultOptions:
    """Holds paths of secret files, never secrets: those are read when they are needed.

    `address` is a URL; `ca_file` the roots that verify its certificate, None for those bundled with
    requests. `role` names the role, for which a wrapped AppRole secret id must have been created.
    `auth_mount` is the login method's mount; empty is the method's name. `timeout` bounds one request,
    `poll` is the interval at which secrets are read again; both in seconds.
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
        """The path at which the login method is mounted."""
        return self.auth_mount or self.method

    def require_usable(self) -> None:
        """Raise SettingsInvalid if tokens would be sent unencrypted, or the roots' file is missing."""
        url = urlsplit(self.address)
        if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname or "")):
            raise SettingsInvalid(
                f"Vault's address {self.address} is not https; tokens are not sent unencrypted"
            )
        if self.ca_file and not self.ca_file.is_file():
            raise SettingsInvalid(
                f"the file of Vault's root certificates {self.ca_file} is missing"
            )


class VaultSettings(ServiceSettings):
    """Settings of services that can read secrets from Vault; without an address none does."""

    vault_address: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="URL of Vault, https unless on loopback; empty disables Vault.",
    )
    vault_auth: Method = Field(
        "kubernetes",
        description="Login method: kubernetes, approle, or token for a file that a Vault agent maintains.",
    )
    vault_role: str = Field("", description="Role of the login; empty is the service's name.")
    vault_auth_mount: str = Field("", description="Mount of the login method; empty is its name.")
    vault_namespace: str = Field("", description="Namespace in Vault; empty is none.")
    vault_ca_file: Path | None = Field(
        None, description="PEM file of the roots that verify Vault's certificate."
    )
    vault_token_file: Path | None = Field(None, description="File of the token, for token.")
    vault_role_id_file: Path | None = Field(None, description="File of the role id, for approle.")
    vault_secret_id_file: Path | None = Field(
        None, description="File of the secret id, for approle; wrapped by default."
    )
    vault_secret_id_wrapped: bool = Field(
        True,
        description="Whether the secret id's file holds a wrapping token, which can be used once.",
    )
    vault_jwt_file: Path = Field(
        SERVICE_ACCOUNT, description="File of the service account's token, for kubernetes."
    )
    vault_kv_mount: str = Field("secret", min_length=1, description="Mount of KV version 2.")
    vault_pki_mount: str = Field("pki", min_length=1, description="Mount of the PKI engine.")
    vault_transit_mount: str = Field("transit", min_length=1, description="Mount of transit.")
    vault_timeout: Annotated[float, Field(gt=0, le=60)] = Field(
        5, description="Timeout in seconds of a request to Vault."
    )
    vault_poll: Seconds = Field(5, description="Seconds between reads of each secret.")
    vault_certificate_ttl: Annotated[float, Field(ge=60, le=7 * 86400)] = Field(
        3600,
        description="Lifetime in seconds of a certificate from Vault; renewed after two thirds.",
    )
    vault_dns_names: str = Field(
        "",
        description="DNS names of the certificate, comma-separated; empty is the service's name and "
        "localhost.",
    )
    vault_addresses: str = Field(
        "", description="IP addresses of the certificate, comma-separated."
    )

    def vault_options(self, service: str) -> VaultOptions | None:
        """The options of the connection to Vault; None if no address is set."""
        if not self.vault_address:
            return None
        return VaultOptions(
            address=self.vault_address.rstrip("/"),
            method=self.vault_auth,
            role=self.vault_role or service,
            auth_mount=self.vault_auth_mount,
            namespace=self.vault_namespace,
            ca_file=self.vault_ca_file,
            token_file=self.vault_token_file,
            role_id_file=self.vault_role_id_file,
            secret_id_file=self.vault_secret_id_file,
            secret_id_wrapped=self.vault_secret_id_wrapped,
            jwt_file=self.vault_jwt_file,
            kv_mount=self.vault_kv_mount,
            pki_mount=self.vault_pki_mount,
            transit_mount=self.vault_transit_mount,
            timeout=self.vault_timeout,
            poll=self.vault_poll,
        )
