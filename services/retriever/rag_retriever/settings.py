"""What the retriever can be told, by variables that begin with RETRIEVER_."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from rag_common.settings import Port, Seconds, folder
from rag_common.vault.settings import VaultSettings


class Settings(VaultSettings):
    """The retriever's settings; the defaults run on a laptop."""

    model_config = SettingsConfigDict(env_prefix="RETRIEVER_")

    port: Port = Field(50053, description="Port of the gRPC API; 0 takes a free one.")
    health_port: Port = Field(50063, description="Plaintext port of health alone, for probes.")
    http_port: Port = Field(50073, description="Plaintext HTTP port of health.")
    engine: Literal["edge", "server"] = Field(
        "edge", description="edge keeps the index in this process; server speaks to Qdrant."
    )
    data_dir: Path = Field(
        default_factory=lambda: folder("index"), description="Where the edge engine keeps its data."
    )
    qdrant_url: str = Field("", description="URL of the Qdrant server, for the server engine.")
    qdrant_api_key: SecretStr = Field(
        SecretStr(""), description="API key of the Qdrant server, or vault:PATH#FIELD."
    )
    qdrant_timeout: int = Field(
        5, ge=1, le=300, description="Most seconds for a call to the Qdrant server."
    )
    qdrant_shards: int = Field(1, ge=1, le=1024, description="Shards of a new collection.")
    qdrant_replicas: int = Field(1, ge=1, le=16, description="Copies of each shard.")
    qdrant_write_copies: int = Field(
        1, ge=1, le=16, description="Copies that must have a write before it is acknowledged."
    )
    qdrant_quantized: bool = Field(
        False, description="Whether vectors are also kept in int8, and results rescored."
    )
    backup_stamp: Path | None = Field(
        None,
        description="File that the backup job touches when it is done; its age is a metric.",
    )
    chunk_tokens: int = Field(256, ge=32, le=2048, description="Tokens that a chunk aims at.")
    chunk_tokens_max: int = Field(384, ge=32, le=4096, description="Most tokens of a chunk.")
    chunk_overlap: int = Field(
        40, ge=0, le=512, description="Most tokens repeated from the chunk before, in sentences."
    )
    document_bytes: int = Field(64 * 2**20, ge=2**20, description="Largest file that is read.")
    document_pages: int = Field(2000, ge=1, description="Most pages of a file.")
    parse_workers: int = Field(2, ge=1, le=64, description="Processes that read files at once.")
    parse_seconds: Seconds = Field(60, description="Most seconds for reading one file.")
    parse_memory: int = Field(
        2**30, ge=2**28, description="Most bytes of memory for reading one file."
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if self.engine == "server" and not self.qdrant_url:
            raise ValueError("the server engine needs RETRIEVER_QDRANT_URL")
        if not self.chunk_overlap < self.chunk_tokens <= self.chunk_tokens_max:
            raise ValueError("chunk_overlap < chunk_tokens <= chunk_tokens_max must hold")
        return self
