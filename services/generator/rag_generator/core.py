"""The generator's work: which model answers, and what every answer has in common."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from rag_common import errors
from rag_common.sentences import sentences
from rag_generator.evidence import Passage
from rag_generator.grounding import Claim, groundedness

# A claim costs some 20 µs for each sentence that it is held against and 0.3 µs for each character, on
# a thread that nobody can end: 5 s at most.
_MOST_WORK, _CHARACTERS = 250_000, 64


class Mode(Enum):
    """What to do about an answer that the passages do not support."""

    REFUSE = "refuse"
    FLAG = "flag"
    OFF = "off"


class Skipped(Enum):
    """Why a call ended well without an answer."""

    NO_PASSAGES = "no_passages"
    WEAK_EVIDENCE = "weak_evidence"
    UNGROUNDED = "ungrounded"


class Finish(Enum):
    """Why a model stopped writing."""

    STOP = "stop"
    LENGTH = "length"
    DEADLINE = "deadline"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True)
class Task:
    """A question, its passages best first, and how to answer.

    `min_score` in [0, 1] is None for the backend's own; `seconds` is what is left for writing.
    """

    question: str
    passages: Sequence[Passage]
    model: str = ""
    max_output_tokens: int = 512
    temperature: float = 0.0
    seed: int | None = None
    language: str = ""
    mode: Mode = Mode.REFUSE
    min_score: float | None = None
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Words:
    """More of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Citation:
    """Code points [start, end) of the answer rest on [quote_start, quote_end) of the passage."""

    number: int
    passage_id: str
    start: int
    end: int
    quote: str
    quote_start: int
    quote_end: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; `text` says that there is none where it was skipped.

    `degraded` names the parts that were away while it was written.
    """

    text: str
    citations: tuple[Citation, ...] = ()
    claims: tuple[Claim, ...] = ()
    skipped: Skipped | None = None
    confidence: float | None = None
    model: str = ""
    prompt_version: str = ""
    finish: Finish = Finish.STOP
    input_tokens: int = 0
    output_tokens: int = 0
    degraded: tuple[str, ...] = ()

    @property
    def support(self) -> float:
        """Share of claims that are supported; 1 where there is nothing to support."""
        if not self.claims:
            return 1.0
        return sum(claim.supported for claim in self.claims) / len(self.claims)


Event = Words | Citation | Answer


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that can be named; `context_tokens` is 0 where there is no such limit."""

    name: str
    backend: str
    context_tokens: int = 0


class Backend(Protocol):
    """Answers a task: Words and Citations as they come, then the Answer. Raises AppError."""

    @property
    def info(self) -> ModelInfo: ...

    def answer(self, task: Task) -> AsyncGenerator[Event, None]: ...


@dataclass(frozen=True, slots=True)
class Generator:
    """Chooses among backends by model name; the default one first."""

    backends: Mapping[str, Backend]
    default: str
    most_output_tokens: int = field(default=4096)

    def answer(self, task: Task) -> AsyncGenerator[Event, None]:
        """The answer as it is written. Raises ModelNotFound, InvalidArgument."""
        if not 1 <= task.max_output_tokens <= self.most_output_tokens:
            raise errors.InvalidArgument.of(
                "options.max_output_tokens", f"must be 1 to {self.most_output_tokens}"
            )
        if not task.question.strip():
            raise errors.InvalidArgument.of("question", "is empty")
        return self._backend(task.model).answer(task)

    async def check(self, text: str, passages: Sequence[Passage]) -> tuple[Claim, ...]:
        """The claims of a text, each with what supports it. Raises InvalidArgument."""
        if not text.strip():
            raise errors.InvalidArgument.of("text", "is empty")
        return await asyncio.to_thread(_checked, text, passages)

    def models(self) -> list[ModelInfo]:
        """What can be named, the default first."""
        names = [self.default, *(name for name in self.backends if name != self.default)]
        return [self.backends[name].info for name in names]

    def _backend(self, name: str) -> Backend:
        found = self.backends.get(name or self.default)
        if found is None:
            raise errors.ModelNotFound(
                f"there is no model {name}",
                metadata={"model": name, "models": ", ".join(self.backends)},
            )
        return found


def _checked(text: str, passages: Sequence[Passage]) -> tuple[Claim, ...]:
    each = sum(len(sentences(one.text)) + len(one.text) // _CHARACTERS for one in passages)
    if len(sentences(text)) * each > _MOST_WORK:
        raise errors.InputTooLong.of(
            "text", "has too many sentences for so much to hold them against"
        )
    return groundedness(text, passages)
