"""The embedder's settings, from environment variables that begin with EMBEDDER_."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from rag_common.settings import Port, data_folder
from rag_common.vault.settings import VaultSettings


class Settings(VaultSettings):
    """The embedder's settings; the defaults run on a laptop."""

    model_config = SettingsConfigDict(env_prefix="EMBEDDER_")

    port: Port = Field(50052, description="Port of the gRPC API; 0 picks a free one.")
    health_port: Port = Field(50062, description="Plaintext port of health alone, for probes.")
    http_port: Port = Field(50072, description="Plaintext HTTP port of health.")
    model: str = Field(
        "multilingual-e5-small",
        min_length=1,
        description="The built-in model, a hub name, or a folder in sentence-transformers form.",
    )
    runtime: Literal["onnx", "torch"] = Field(
        "onnx", description="onnx for a CPU; torch for a GPU, or as the reference."
    )
    precision: Literal["int8", "fp32"] = Field(
        "int8", description="Precision of the onnx runtime; torch computes in fp32."
    )
    device: str = Field("cpu", description="Device of the torch runtime: cpu, cuda, cuda:1, mps.")
    models_dir: Path = Field(
        default_factory=lambda: data_folder("models"), description="Directory of prepared models."
    )
    lanes: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        le=256,
        description="Texts computed at once on a CPU, each on one thread; default: the number of cores.",
    )
    lone_threads: int = Field(
        1,
        ge=1,
        le=64,
        description="Threads for a text while no other is computed; over 1 costs the weights' memory again.",
    )
    batch_texts: int = Field(64, ge=1, le=4096, description="Maximum texts in a batch on a GPU.")
    batch_tokens: int = Field(
        16_384, ge=512, description="Maximum tokens in a batch on a GPU, padding included."
    )
    queue_texts: int = Field(
        2048, ge=1, description="Maximum waiting texts; more are rejected with a retry delay."
    )
    query_cache: int = Field(
        2048,
        ge=0,
        le=100_000,
        description="Queries of up to 256 characters whose embeddings are kept, 4 to 12 kB each; 0 keeps none.",
    )
    text_characters: int = Field(100_000, ge=1, description="Maximum characters of a text.")
    reranker: str = Field(
        "", description="Cross-encoder for Rerank: a hub name or a folder; none if empty."
    )
