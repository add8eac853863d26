"""What the generator can be told, by variables that begin with GENERATOR_."""

import os
from pathlib import Path

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from rag_common.settings import Port, Seconds
from rag_common.vault.settings import VaultSettings


class Settings(VaultSettings):
    """The generator's settings; the defaults run on a laptop."""

    model_config = SettingsConfigDict(env_prefix="GENERATOR_")

    port: Port = Field(50054, description="Port of the gRPC API; 0 takes a free one.")
    health_port: Port = Field(50064, description="Plaintext port of health alone, for probes.")
    http_port: Port = Field(50074, description="Plaintext HTTP port of health.")
    default_model: str = Field(
        "extractive",
        min_length=1,
        description="Model of a request that names none: extractive, or one of the names below.",
    )
    fallback: bool = Field(
        True,
        description="Whether the extractive backend answers, marked as degraded, where a language "
        "model does not.",
    )
    openai_url: str = Field(
        "", description="Base URL of an OpenAI-compatible server, such as http://vllm:8000/v1."
    )
    openai_api_key: SecretStr = Field(
        SecretStr(""), description="Its API key, where it wants one, or vault:PATH#FIELD."
    )
    openai_models: str = Field(
        "", description="Names of its models that may be asked for, with commas between."
    )
    openai_context_tokens: int = Field(
        8192, ge=512, description="Most tokens of prompt and answer together for these models."
    )
    openai_connect_timeout: Seconds = Field(3, description="Most seconds for reaching the server.")
    openai_first_token_timeout: Seconds = Field(
        10,
        description="Most seconds of silence until the first token; after them the model counts as "
        "away. Keep it well below the callers' deadline, which is 30 seconds by default.",
    )
    openai_silence_timeout: Seconds = Field(
        30, description="Most seconds without a token, from the first on."
    )
    openai_retries: int = Field(
        2, ge=0, le=5, description="Tries after the first, and only before the first token."
    )
    llama_model: Path | None = Field(None, description="A GGUF file to run in this process.")
    llama_name: str = Field("llama", min_length=1, description="Name of that model in requests.")
    llama_context_tokens: int = Field(4096, ge=512, description="Its context, in tokens.")
    llama_threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1, ge=1, le=256, description="Threads it uses."
    )
    llama_parallel: int = Field(2, ge=1, le=64, description="Answers it writes at once.")
    most_output_tokens: int = Field(
        4096, ge=1, description="Most tokens of an answer, whatever a request asks for."
    )
    delta_interval: float = Field(
        0.03,
        ge=0,
        le=1,
        description="Seconds for which a model's words are gathered before sending.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if bool(self.openai_url) != bool(self.openai_models):
            raise ValueError("GENERATOR_OPENAI_URL and GENERATOR_OPENAI_MODELS go together")
        return self
