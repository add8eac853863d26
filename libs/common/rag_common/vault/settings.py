"""The settings by which a service finds Vault and says who it is there."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from rag_common.settings import Seconds, ServiceSettings
from rag_common.vault.options import SERVICE_ACCOUNT, Method, VaultOptions


class VaultSettings(ServiceSettings):
    """For services that may take their secrets from Vault; without an address none does."""

    vault_address: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="URL of Vault; empty takes no secret from there. https, but on loopback.",
    )
    vault_auth: Method = Field(
        "kubernetes",
        description="How the service shows who it is: kubernetes, approle, or token for one that an "
        "agent keeps in a file.",
    )
    vault_role: str = Field("", description="Role at Vault's login; empty is the service's name.")
    vault_auth_mount: str = Field("", description="Where that login is mounted, where elsewhere.")
    vault_namespace: str = Field("", description="Namespace in Vault, where it has some.")
    vault_ca_file: Path | None = Field(
        None, description="Roots that Vault's certificate is checked with; PEM."
    )
    vault_token_file: Path | None = Field(None, description="File of the token, for token.")
    vault_role_id_file: Path | None = Field(None, description="File of the role id, for approle.")
    vault_secret_id_file: Path | None = Field(
        None, description="File of the secret id, for approle; wrapped, unless told otherwise."
    )
    vault_secret_id_wrapped: bool = Field(
        True,
        description="Whether the secret id's file holds a wrapping token, which is good for once.",
    )
    vault_jwt_file: Path = Field(
        SERVICE_ACCOUNT, description="File of the service account's token, for kubernetes."
    )
    vault_kv_mount: str = Field("secret", min_length=1, description="Mount of KV version 2.")
    vault_pki_mount: str = Field("pki", min_length=1, description="Mount of the PKI engine.")
    vault_transit_mount: str = Field("transit", min_length=1, description="Mount of transit.")
    vault_timeout: Annotated[float, Field(gt=0, le=60)] = Field(
        5, description="Most seconds for one request to Vault."
    )
    vault_poll: Seconds = Field(5, description="Seconds between looks at each secret.")
    vault_certificate_ttl: Annotated[float, Field(ge=60, le=7 * 86400)] = Field(
        3600, description="Seconds that a certificate from Vault lives; renewed at two thirds."
    )
    vault_dns_names: str = Field(
        "",
        description="DNS names in the certificate, with commas between; empty is the service's "
        "name and localhost.",
    )
    vault_addresses: str = Field(
        "", description="IP addresses in the certificate, with commas between."
    )

    def vault_options(self, service: str) -> VaultOptions | None:
        """Where the service finds Vault; None where it is to do without."""
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
