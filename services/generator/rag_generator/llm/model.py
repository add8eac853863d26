"""The interface of a language model: its parameters and the chunks that it streams."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Finish(Enum):
    """Why a model stopped writing."""

    STOP = "stop"
    LENGTH = "length"
    DEADLINE = "deadline"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """An available model; `context_tokens` is 0 if its context is not limited."""

    name: str
    backend: str
    context_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters; `seed` is None for a random one."""

    max_tokens: int
    temperature: float
    seed: int | None


@dataclass(frozen=True, slots=True)
class ModelChunk:
    """A part of a model's text; the last chunk has `finish` and the token counts."""

    text: str
    finish: Finish | None = None
    input_tokens: int = 0
    output_tokens: int = 0


class LanguageModel(Protocol):
    """A model that continues a conversation of one system and one user message.

    Closing the generator stops the model. Raises Unavailable, ResourceExhausted, DeadlineExceeded.
    """

    @property
    def info(self) -> ModelInfo: ...

    def write(
        self, system: str, user: str, sampling: Sampling
    ) -> AsyncGenerator[ModelChunk, None]: ...
