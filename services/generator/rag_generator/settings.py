"""The generator's settings, from environment variables that begin with GENERATOR_."""

import os
from pathlib import Path

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from rag_common.settings import Port, Seconds
from rag_common.vault.settings import VaultSettings


class Settings(VaultSettings):
    """The generator's settings; the defaults run on a laptop."""

    model_config = SettingsConfigDict(env_prefix="GENERATOR_")

    port: Port = Field(50054, description="Port of the gRPC API; 0 picks a free one.")
    health_port: Port = Field(50064, description="Plaintext port of health alone, for probes.")
    http_port: Port = Field(50074, description="Plaintext HTTP port of health.")
    default_model: str = Field(
        "extractive",
        min_length=1,
        description="Model of a request that names none: extractive, or one of the names below.",
    )
    fallback: bool = Field(
        True,
        description="Whether the extractive backend answers, marked as degraded, if a language "
        "model is unavailable.",
    )
    openai_url: str = Field(
        "", description="Base URL of an OpenAI-compatible server, such as http://vllm:8000/v1."
    )
    openai_api_key: SecretStr = Field(
        SecretStr(""),
        description="Its API key, if it requires one, or vault:PATH#FIELD, or file:PATH.",
    )
    openai_models: str = Field(
        "", description="Names of its models that requests may use, separated by commas."
    )
    openai_context_tokens: int = Field(
        8192, ge=512, description="Maximum tokens of prompt and answer together for these models."
    )
    openai_connect_timeout: Seconds = Field(
        3, description="Maximum seconds for connecting to the server."
    )
    openai_first_token_timeout: Seconds = Field(
        10,
        description="Maximum seconds until the first token; after them the model counts as "
        "unavailable. Keep it well below the callers' deadline, which is 30 seconds by default.",
    )
    openai_silence_timeout: Seconds = Field(30, description="Maximum seconds between tokens.")
    openai_retries: int = Field(
        2, ge=0, le=5, description="Maximum retries, only before the first token."
    )
    llama_model: Path | None = Field(None, description="A GGUF file to run in this process.")
    llama_name: str = Field("llama", min_length=1, description="Name of that model in requests.")
    llama_context_tokens: int = Field(4096, ge=512, description="Its context, in tokens.")
    llama_threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1, ge=1, le=256, description="Threads it uses."
    )
    llama_parallel: int = Field(2, ge=1, le=64, description="Maximum concurrent answers.")
    most_output_tokens: int = Field(
        4096, ge=1, description="Maximum tokens of an answer, whatever a request sets."
    )
    delta_interval: float = Field(
        0.03,
        ge=0,
        le=1,
        description="Seconds for which a model's text is buffered before sending.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if bool(self.openai_url) != bool(self.openai_models):
            raise ValueError("GENERATOR_OPENAI_URL and GENERATOR_OPENAI_MODELS go together")
        return self
