"""The ingestor's settings, read from environment variables with the prefix INGESTOR_."""

from typing import Literal

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from rag_common.settings import Port, Seconds
from rag_common.vault.settings import VaultSettings


class Settings(VaultSettings):
    """The ingestor's settings; the defaults suit a laptop."""

    model_config = SettingsConfigDict(env_prefix="INGESTOR_")

    port: Port = Field(50057, description="Port of the gRPC API; 0 selects a free one.")
    health_port: Port = Field(
        50067, description="Plaintext port of the gRPC health service only, for probes."
    )
    http_port: Port = Field(50077, description="Plaintext HTTP port of the health endpoints.")
    embedder_target: str = Field("127.0.0.1:50052", description="Address of the embedder.")
    retriever_target: str = Field("127.0.0.1:50053", description="Address of the retriever.")
    embed_timeout: Seconds = Field(
        10, description="Timeout for reading the embedding model's description, in seconds."
    )
    index_timeout: Seconds = Field(
        5, description="Timeout for reading and deleting documents in the index, in seconds."
    )
    ingest_timeout: Seconds = Field(
        280, description="Timeout for embedding and storing a document, in seconds."
    )
    slots: int = Field(
        8, ge=1, le=256, description="Maximum number of documents ingested at once; more wait."
    )
    chunk_tokens: int = Field(256, ge=32, le=2048, description="Target size of a chunk, in tokens.")
    chunk_tokens_max: int = Field(
        384, ge=32, le=4096, description="Maximum size of a chunk, in tokens."
    )
    chunk_overlap: int = Field(
        40,
        ge=0,
        le=512,
        description="Maximum tokens repeated from the previous chunk, in sentences.",
    )
    document_bytes: int = Field(
        64 * 2**20,
        ge=2**20,
        le=2**30,
        description="Maximum size of a file, in bytes; not less than GATEWAY_UPLOAD_BYTES. Files that wait to "
        "be split may take four times as much memory.",
    )
    document_pages: int = Field(2000, ge=1, description="Maximum number of pages of a file.")
    parse_workers: int = Field(
        2, ge=1, le=64, description="Number of worker processes that parse files."
    )
    parse_seconds: Seconds = Field(60, description="Timeout for parsing one file, in seconds.")
    parse_memory: int = Field(
        2**30, ge=2**28, description="Memory limit for parsing one file, in bytes."
    )

    ocr: Literal["auto", "off"] = Field(
        "auto",
        description="Whether the text of scanned pages and images is recognised, where Tesseract is installed.",
    )
    ocr_languages: str = Field(
        "kor+eng",
        pattern=r"^[A-Za-z_]{2,32}(\+[A-Za-z_]{2,32}){0,7}$",
        description="Languages that Tesseract recognises, joined by +.",
    )
    ocr_pages: int = Field(
        20, ge=1, le=500, description="Maximum number of pages of a file that are recognised."
    )
    ocr_seconds: Seconds = Field(
        60, description="Timeout for recognising one page, in seconds; it stays unread then."
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if not self.chunk_overlap < self.chunk_tokens <= self.chunk_tokens_max:
            raise ValueError("chunk_overlap < chunk_tokens <= chunk_tokens_max must hold")
        return self
