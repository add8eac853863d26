"""What the gateway can be told, by variables that begin with GATEWAY_."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from rag_common.settings import Port, Seconds, folder
from rag_common.vault.settings import VaultSettings


class Settings(VaultSettings):
    """The gateway's settings; the defaults run on a laptop."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_")

    port: Port = Field(50051, description="Port of the gRPC API; 0 takes a free one.")
    health_port: Port = Field(50061, description="Plaintext port of health alone, for probes.")
    http_port: Port = Field(
        50071, description="Plaintext HTTP port of health and of the public keys."
    )
    callers: str = Field(
        "edge,operator",
        description="Services whose certificates may call the public API, with commas between.",
    )
    embedder_target: str = Field("127.0.0.1:50052", description="Where the embedder answers.")
    retriever_target: str = Field("127.0.0.1:50053", description="Where the retriever answers.")
    generator_target: str = Field("127.0.0.1:50054", description="Where the generator answers.")
    embed_timeout: Seconds = Field(10, description="Most seconds for embedding a query.")
    search_timeout: Seconds = Field(5, description="Most seconds for a search of the index.")
    rerank_timeout: Seconds = Field(10, description="Most seconds for reranking.")
    generate_timeout: Seconds = Field(120, description="Most seconds for writing an answer.")
    ingest_timeout: Seconds = Field(280, description="Most seconds for taking in a document.")
    issuer: str = Field(
        "rag-dev", min_length=1, description="Issuer of this platform's own tokens."
    )
    audience: str = Field("rag", min_length=1, description="Audience that its tokens must name.")
    signer: Literal["file", "vault", "none"] = Field(
        "file",
        description="What signs tokens: vault, by its transit engine; file, for development; or none, "
        "where other issuers do.",
    )
    signing_key: Path = Field(
        default_factory=lambda: folder("keys") / "dev.pem",
        description="Ed25519 private key, PEM, where the signer is file.",
    )
    signing_key_name: str = Field(
        "rag-tokens", min_length=1, description="Key of the transit engine, where it is vault."
    )
    jwks: str = Field(
        default_factory=lambda: str(folder("keys") / "jwks.json"),
        description="Public keys of this platform's own tokens, a file or an https URL, where the "
        "signer is not vault.",
    )
    jwks_max_age: Seconds = Field(300, description="Seconds after which keys are read again.")
    issuers: Path | None = Field(
        None, description="TOML file of further issuers whose tokens are taken."
    )
    clock_leeway: float = Field(
        30, ge=0, le=120, description="Seconds by which clocks of issuer and gateway may differ."
    )
    policy: Path | None = Field(
        None,
        description="TOML file of roles and methods instead of the one that comes with the gateway.",
    )
    credentials: Literal["file", "redis"] = Field(
        "file", description="Where API keys and revocations are kept; redis for several replicas."
    )
    credentials_file: Path = Field(
        default_factory=lambda: folder("credentials") / "credentials.sqlite",
        description="SQLite file of them, for one machine.",
    )
    credentials_refresh: float = Field(
        1, gt=0, le=2, description="Seconds between looks for what other replicas have revoked."
    )
    credentials_stale: Seconds = Field(
        60, description="Seconds for which API keys already seen work on without their store."
    )
    revocations_stale: Seconds = Field(
        900,
        description="Seconds for which the list of revocations is good without its store; after "
        "that nobody is let in.",
    )
    audit_file: Path | None = Field(
        None, description="File that audit events are added to, besides the log."
    )
    address_header: str = Field(
        "",
        description="Header in which the edge says where the caller is; empty without an edge, for "
        "callers could write it themselves.",
    )
    limits_file: Path | None = Field(
        None, description="TOML file of limits instead of the one that comes with the gateway."
    )
    redis_url: str = Field(
        "",
        description="Redis that replicas share, redis:// or rediss://host:port/0; without it each "
        "counts alone.",
    )
    redis_username: str = Field("", description="User of Redis; its default one where empty.")
    redis_password: SecretStr = Field(
        SecretStr(""), description="Its password, or vault:PATH#FIELD."
    )
    redis_ca_file: str = Field(
        "", description="Roots that Redis's certificate is checked with; the system's where empty."
    )
    redis_prefix: str = Field(
        "rag:", min_length=1, description="What all keys in Redis begin with."
    )
    redis_timeout: float = Field(
        0.05,
        gt=0,
        le=5,
        description="Seconds after which Redis is left for this replica's own memory.",
    )
    request_id_seconds: Seconds = Field(
        600, description="Seconds for which a reply is kept for repeats with the same request_id."
    )
    request_id_bytes: int = Field(
        64 * 1024, ge=0, le=2**20, description="Largest reply that is kept for repeats."
    )
    capture: str = Field(
        "off",
        pattern="^(off|redacted)$",
        description="Whether spans hold questions and answers: off, or redacted, where personal data "
        "and secrets that are known by their form are left out.",
    )
    index: str = Field("passages", description="Index that is made when there is none yet.")
    document_bytes: int = Field(
        2**20, ge=1024, le=2**24, description="Largest document in one message."
    )
    upload_bytes: int = Field(
        64 * 2**20, ge=2**20, le=2**30, description="Largest document as a stream."
    )
    searches: int = Field(
        default_factory=lambda: 3 * (os.cpu_count() or 1),
        ge=3,
        le=4096,
        description="Searches under way at once; a tenant that is not alone has a third of them. Three "
        "for each text that the embedders compute at once, divided by the gateways.",
    )
    ingest_slots: int = Field(
        8, ge=1, le=256, description="Documents taken in at once; more wait for their turn."
    )
    heartbeat: Seconds = Field(15, description="Seconds of silence after which a stream says so.")
