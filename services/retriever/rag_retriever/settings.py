"""The retriever's settings, read from environment variables with the prefix RETRIEVER_."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from rag_common.settings import Port, data_folder
from rag_common.vault.settings import VaultSettings


class Settings(VaultSettings):
    """The retriever's settings; the defaults suit a laptop."""

    model_config = SettingsConfigDict(env_prefix="RETRIEVER_")

    port: Port = Field(50053, description="Port of the gRPC API; 0 selects a free one.")
    health_port: Port = Field(
        50063, description="Plaintext port of the gRPC health service only, for probes."
    )
    http_port: Port = Field(50073, description="Plaintext HTTP port of the health endpoints.")
    engine: Literal["edge", "server"] = Field(
        "edge", description="edge stores the index in this process; server uses a Qdrant server."
    )
    data_dir: Path = Field(
        default_factory=lambda: data_folder("index"),
        description="Data directory of the edge engine.",
    )
    qdrant_url: str = Field(
        "",
        description="URL of the Qdrant server, for the server engine, or comma-separated URLs of its nodes: a "
        "read that fails at one node is retried at the next.",
    )
    qdrant_grpc_port: Port = Field(6334, description="Port of the Qdrant server's gRPC API.")
    qdrant_ca_file: Path | None = Field(
        None,
        description="CA certificates that verify the Qdrant server's certificate, PEM; the system's if "
        "empty.",
    )
    qdrant_certificate_file: Path | None = Field(
        None, description="Client certificate for the Qdrant server, PEM, if it requires one."
    )
    qdrant_key_file: Path | None = Field(
        None, description="Private key of RETRIEVER_QDRANT_CERTIFICATE_FILE, PEM."
    )
    qdrant_api_key: SecretStr = Field(
        SecretStr(""),
        description="API key of the Qdrant server, or vault:PATH#FIELD, or file:PATH.",
    )
    qdrant_timeout: int = Field(
        5, ge=1, le=300, description="Deadline of a call to the Qdrant server, in seconds."
    )
    qdrant_shards: int = Field(1, ge=1, le=1024, description="Shards of a new collection.")
    qdrant_replicas: int = Field(1, ge=1, le=16, description="Replicas of each shard.")
    qdrant_write_copies: int = Field(
        1, ge=1, le=16, description="Replicas that must confirm a write before it is acknowledged."
    )
    qdrant_quantized: bool = Field(
        False,
        description="Whether searches use vectors in int8, in memory, and rescore results with the original "
        "ones, which are then on disk.",
    )
    backup_stamp: Path | None = Field(
        None,
        description="File that the backup job touches when it finishes; its age is exported as a metric.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if self.engine == "server" and not self.qdrant_url:
            raise ValueError("the server engine requires RETRIEVER_QDRANT_URL")
        if (self.qdrant_certificate_file is None) != (self.qdrant_key_file is None):
            raise ValueError("a certificate for Qdrant requires its key, and a key its certificate")
        return self
