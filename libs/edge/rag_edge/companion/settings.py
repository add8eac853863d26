"""The companion's settings, from environment variables that begin with EDGE_."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from rag_common.settings import Port, Seconds
from rag_common.vault.settings import VaultSettings


class Settings(VaultSettings):
    """The companion's settings. It serves HTTP only: those of gRPC have no effect."""

    model_config = SettingsConfigDict(env_prefix="EDGE_")

    http_port: Port = Field(
        50075, description="Plaintext HTTP port of /health/live, /health/ready and /metrics."
    )
    admin: Path = Field(
        Path("/run/envoy/admin.sock"), description="Unix socket of Envoy's administration."
    )
    certificates: Path = Field(
        Path("/certificates"),
        description="Folder that gets the certificate for clients, if PUBLIC_NAMES is set.",
    )
    identity: Path = Field(
        Path("/identity"),
        description="Folder that gets the certificate for the gateway, if VAULT_ADDRESS is set.",
    )
    public_names: str = Field(
        "",
        description="DNS names by which clients call the edge, comma-separated. Empty: Vault issues no "
        "certificate for clients, which comes from elsewhere then.",
    )
    public_role: str = Field(
        "edge", min_length=1, description="PKI role in Vault of the certificate for clients."
    )
    weights_url: str = Field(
        "",
        pattern="^(https?://.+)?$",
        description="URL of the weights of the lanes: /weights of a canary's analysis. Empty: the weights "
        "are those of the edge's configuration.",
    )
    weights_timeout: Seconds = Field(
        5,
        description="Seconds without an answer from WEIGHTS_URL after which no lane gets calls any more.",
    )
