"""The answering service: chooses the backend by model name; tasks, events and answers."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from rag_common.text.sentences import sentences
from rag_contract import errors
from rag_generator.evidence.grounding import Claim, groundedness
from rag_generator.evidence.sentences import Passage
from rag_generator.llm.model import Finish, ModelInfo

# Checking a claim costs some 20 µs per sentence of the passages and 0.3 µs per character, in a thread
# that cannot be cancelled. This limits it to 5 s.
_MAX_COMPARISONS, _CHARACTERS_PER_COMPARISON = 250_000, 64


class Mode(Enum):
    """What to do with an answer that the passages do not support."""

    REFUSE = "refuse"
    FLAG = "flag"
    OFF = "off"


class Skipped(Enum):
    """Why a successful call has no answer."""

    NO_PASSAGES = "no_passages"
    WEAK_EVIDENCE = "weak_evidence"
    UNGROUNDED = "ungrounded"


@dataclass(frozen=True, slots=True)
class Task:
    """A question, its passages best first, and how to answer.

    `min_score` in [0, 1] is None for the backend's default. `seconds` is the time left for generation.
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
class TextDelta:
    """The next part of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Citation:
    """Code points [start, end) of the answer are based on [quote_start, quote_end) of the passage."""

    number: int
    passage_id: str
    start: int
    end: int
    quote: str
    quote_start: int
    quote_end: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer; `text` is a refusal message if `skipped` is set.

    `degraded` names the parts of the platform that were unavailable.
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
        """The share of supported claims; 1 if there are no claims."""
        if not self.claims:
            return 1.0
        return sum(claim.supported for claim in self.claims) / len(self.claims)


Event = TextDelta | Citation | Answer


class Backend(Protocol):
    """Answers tasks: yields TextDeltas and Citations, then the Answer. Raises AppError."""

    @property
    def info(self) -> ModelInfo: ...

    def answer(self, task: Task) -> AsyncGenerator[Event, None]: ...


@dataclass(frozen=True, slots=True)
class Generator:
    """Chooses a backend by model name; `default` is used if a task names none."""

    backends: Mapping[str, Backend]
    default: str
    max_output_tokens: int = field(default=4096)

    def answer(self, task: Task) -> AsyncGenerator[Event, None]:
        """The events of the answer. Raises ModelNotFound, InvalidArgument."""
        if not 1 <= task.max_output_tokens <= self.max_output_tokens:
            raise errors.FieldInvalid.of(
                "options.max_output_tokens", f"must be 1 to {self.max_output_tokens}"
            )
        if not task.question.strip():
            raise errors.FieldInvalid.of("question", "is empty")
        return self._backend(task.model).answer(task)

    async def check(self, text: str, passages: Sequence[Passage]) -> tuple[Claim, ...]:
        """The claims of a text with their supporting sentences. Raises InvalidArgument."""
        if not text.strip():
            raise errors.FieldInvalid.of("text", "is empty")
        return await asyncio.to_thread(_checked, text, passages)

    def models(self) -> list[ModelInfo]:
        """The available models, the default first."""
        names = [self.default, *(name for name in self.backends if name != self.default)]
        return [self.backends[name].info for name in names]

    def _backend(self, name: str) -> Backend:
        backend = self.backends.get(name or self.default)
        if backend is None:
            raise errors.ModelNotFound(
                f"unknown model {name}",
                metadata={"model": name, "models": ", ".join(self.backends)},
            )
        return backend


def _checked(text: str, passages: Sequence[Passage]) -> tuple[Claim, ...]:
    per_claim = sum(
        len(sentences(one.text)) + len(one.text) // _CHARACTERS_PER_COMPARISON for one in passages
    )
    if len(sentences(text)) * per_claim > _MAX_COMPARISONS:
        raise errors.InputTooLong.of(
            "text", "has too many sentences to check against passages of this length"
        )
    return groundedness(text, passages)


_SENTENCES = {
    ("ko", Skipped.NO_PASSAGES): "검색된 문서가 없어 답할 수 없습니다.",
    ("ko", Skipped.WEAK_EVIDENCE): "문서에서 이 질문에 대한 답을 찾을 수 없습니다.",
    ("ko", Skipped.UNGROUNDED): "문서로 뒷받침되는 답을 만들 수 없었습니다.",
    ("en", Skipped.NO_PASSAGES): "No documents were found, so this cannot be answered.",
    ("en", Skipped.WEAK_EVIDENCE): "The documents do not answer this question.",
    ("en", Skipped.UNGROUNDED): "No answer could be given that the documents support.",
}


def refusal_message(reason: Skipped, language: str) -> str:
    """The message to the user if there is no answer; `language` is "ko" or "en"."""
    return _SENTENCES[language, reason]
