"""The gateway's settings, read from environment variables that begin with GATEWAY_."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from rag_common.settings import Port, Seconds, data_folder
from rag_common.vault.settings import VaultSettings


class Settings(VaultSettings):
    """The gateway's settings; the defaults are for a laptop."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_")

    port: Port = Field(50051, description="Port of the gRPC API; 0 for a free one.")
    health_port: Port = Field(50061, description="Plaintext port of health alone, for probes.")
    http_port: Port = Field(
        50071, description="Plaintext HTTP port of health and of the tokens' public keys."
    )
    callers: str = Field(
        "edge,operator",
        description="Services whose certificates may call the public API, separated by commas.",
    )
    embedder_target: str = Field("127.0.0.1:50052", description="Address of the embedder.")
    retriever_target: str = Field("127.0.0.1:50053", description="Address of the retriever.")
    ingestor_target: str = Field("127.0.0.1:50057", description="Address of the ingestor.")
    generator_target: str = Field("127.0.0.1:50054", description="Address of the generator.")
    embed_timeout: Seconds = Field(10, description="Timeout for embedding a query, in seconds.")
    search_timeout: Seconds = Field(5, description="Timeout for a search of the index, in seconds.")
    document_timeout: Seconds = Field(
        5, description="Timeout for reading and deleting documents, in seconds."
    )
    rerank_timeout: Seconds = Field(10, description="Timeout for reranking, in seconds.")
    generate_timeout: Seconds = Field(
        120, description="Timeout for generating an answer, in seconds."
    )
    generate_start_timeout: float = Field(
        2,
        gt=0,
        le=60,
        description="Timeout for the response headers of the generator, in seconds, which it sends before "
        "it starts to work; without them it counts as hung, and a passage is quoted instead.",
    )
    ingest_timeout: Seconds = Field(
        280, description="Timeout for ingesting a document, in seconds."
    )
    issuer: str = Field(
        "rag-dev", min_length=1, description="Issuer (`iss`) of the platform's own tokens."
    )
    audience: str = Field(
        "rag", min_length=1, description="Audience (`aud`) that its tokens must have."
    )
    signer: Literal["file", "vault", "none"] = Field(
        "file",
        description="What signs tokens: vault, by its transit engine; file, for development; or none, "
        "if other issuers do.",
    )
    signing_key: Path = Field(
        default_factory=lambda: data_folder("keys") / "dev.pem",
        description="Ed25519 private key, PEM, if the signer is file.",
    )
    signing_key_name: str = Field(
        "rag-tokens", min_length=1, description="Key of the transit engine, if the signer is vault."
    )
    jwks: str = Field(
        default_factory=lambda: str(data_folder("keys") / "jwks.json"),
        description="JWKS of the platform's own tokens, a file or an https URL, if the signer is not "
        "vault.",
    )
    jwks_max_age: Seconds = Field(300, description="Seconds after which a JWKS is read again.")
    issuers: Path | None = Field(
        None, description="TOML file of further issuers whose tokens are accepted."
    )
    clock_leeway: float = Field(
        30,
        ge=0,
        le=120,
        description="Seconds by which the clocks of issuer and gateway may differ.",
    )
    policy: Path | None = Field(
        None,
        description="TOML file of the access policy; the gateway's own if unset.",
    )
    credentials: Literal["file", "redis"] = Field(
        "file", description="Store of API keys and revocations; redis for several replicas."
    )
    credentials_file: Path = Field(
        default_factory=lambda: data_folder("credentials") / "credentials.sqlite",
        description="SQLite file of API keys and revocations, for a single machine.",
    )
    credentials_refresh: float = Field(
        1, gt=0, le=2, description="Seconds between reads of other replicas' revocations."
    )
    credentials_stale: Seconds = Field(
        60,
        description="Seconds for which recently used API keys keep working while their store is unavailable.",
    )
    revocations_stale: Seconds = Field(
        900,
        description="Seconds for which the list of revocations is valid while its store is unavailable; "
        "after that all calls are refused.",
    )
    audit_file: Path | None = Field(
        None, description="File to which audit events are appended, in addition to the log."
    )
    address_header: str = Field(
        "",
        description="Header in which the edge passes the caller's address; empty without an edge, as "
        "callers could set it themselves.",
    )
    limits_file: Path | None = Field(
        None, description="TOML file of quotas and rate limits; the gateway's own if unset."
    )
    redis_url: str = Field(
        "",
        description="Redis that replicas share, redis:// or rediss://host:port/0; without it each "
        "replica counts alone.",
    )
    redis_username: str = Field("", description="User of Redis; its default user if empty.")
    redis_password: SecretStr = Field(
        SecretStr(""), description="Password of Redis, or vault:PATH#FIELD, or file:PATH."
    )
    redis_ca_file: str = Field(
        "", description="CA file that verifies Redis's certificate; the system's CAs if empty."
    )
    redis_prefix: str = Field("rag:", min_length=1, description="Prefix of all keys in Redis.")
    redis_timeout: float = Field(
        0.05,
        gt=0,
        le=5,
        description="Timeout of Redis, in seconds, after which this replica's own memory is used instead.",
    )
    request_id_seconds: Seconds = Field(
        600,
        description="Seconds for which a response is stored for retries with the same request_id.",
    )
    request_id_bytes: int = Field(
        64 * 1024,
        ge=0,
        le=2**20,
        description="Largest response that is stored for retries, in bytes.",
    )
    capture: str = Field(
        "off",
        pattern="^(off|redacted)$",
        description="Whether spans hold questions and answers: off; or redacted, without personal data "
        "and secrets of known formats.",
    )
    index: str = Field(
        "passages", description="Name of the index that is created if there is none yet."
    )
    document_bytes: int = Field(
        2**20, ge=1024, le=2**24, description="Largest document in one message, in bytes."
    )
    upload_bytes: int = Field(
        64 * 2**20,
        ge=2**20,
        le=2**30,
        description="Largest document as a stream, in bytes; not more than INGESTOR_DOCUMENT_BYTES.",
    )
    searches: int = Field(
        default_factory=lambda: 3 * (os.cpu_count() or 1),
        ge=3,
        le=4096,
        description="Maximum number of concurrent searches; a tenant that is not the only active one gets a "
        "third of them. Three for each text that the embedders compute at once, divided by the gateways.",
    )
    search_wait: float = Field(
        0.5,
        gt=0,
        le=600,
        description="Maximum seconds that a search waits for its turn; one that would wait longer is "
        "refused with a retry delay.",
    )
    search_wait_overloaded: float = Field(
        0.01,
        gt=0,
        le=600,
        description="The same in an overload, so that searches that are admitted stay fast: it begins when "
        "for a second every search has waited over a fifth of SEARCH_WAIT, and ends when less than a tenth is "
        "refused. Until then half of the slots are used.",
    )
    heartbeat: Seconds = Field(
        15, description="Seconds without an event after which a stream sends a heartbeat."
    )
