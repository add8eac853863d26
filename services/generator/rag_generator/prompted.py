"""Backends that ask a language model: one prompt, streamed words, checked citations, a grounding check."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

from rag_common import errors
from rag_generator import extractive
from rag_generator.citing import MarkerFilter, citations, without_markers
from rag_generator.core import (
    Answer,
    Event,
    Finish,
    Mode,
    ModelInfo,
    Skipped,
    Task,
    Words,
)
from rag_generator.evidence import Passage
from rag_generator.grounding import Claim, groundedness
from rag_generator.language import apology, language
from rag_generator.prompt import Prompt, Template

# A model reads between the lines, so it is asked already where quoting would give up.
_LEAST_EVIDENCE = 0.1
_LEAST_SUPPORT = 0.5
# A prompt's own words and one short passage.
_LEAST_ROOM = 256
# What is kept of the time for checking and sending.
_RESERVE = 0.25


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a model writes."""

    max_tokens: int
    temperature: float
    seed: int | None


@dataclass(frozen=True, slots=True)
class Piece:
    """More of a model's words; `finish` and the token counts come with the last piece."""

    text: str
    finish: Finish | None = None
    input_tokens: int = 0
    output_tokens: int = 0


class LanguageModel(Protocol):
    """A model that continues a conversation of one system and one user message.

    Closing the iterator stops it. Raises Unavailable, ResourceExhausted, DeadlineExceeded.
    """

    @property
    def info(self) -> ModelInfo: ...

    def write(self, system: str, user: str, sampling: Sampling) -> AsyncGenerator[Piece, None]: ...


@dataclass(slots=True)
class _Draft:
    """What a model has written so far."""

    text: str = ""
    finish: Finish = Finish.STOP
    input_tokens: int = 0
    output_tokens: int = 0
    unsent: list[str] = field(default_factory=list)
    sent_at: float = field(default_factory=monotonic)


class Prompted:
    """Answers with a language model. Words are gathered for `interval` seconds before they go out."""

    def __init__(self, model: LanguageModel, template: Template, *, interval: float) -> None:
        self._model = model
        self._template = template
        self._interval = interval

    @property
    def info(self) -> ModelInfo:
        """The model's."""
        return self._model.info

    async def answer(self, task: Task) -> AsyncGenerator[Event, None]:
        """Words as they are written, then Citations, then the Answer.

        An answer that turns out to be unsupported is withheld: the Answer says so in its stead.
        """
        tongue = language(task.question, task.language)
        confidence, reason = await self._judged(task)
        if reason:
            text = apology(reason, tongue)
            yield Words(text)
            yield Answer(text, skipped=reason, confidence=confidence, model=self.info.name)
            return
        room = self._room(task)
        prompt = self._template.fill(task.question, task.passages, tongue, room)
        draft = _Draft()
        async with aclosing(self._written(task, prompt, draft)) as words:
            async for text in words:
                yield Words(text)
        answer = await self._finished(task, prompt, draft, confidence, tongue)
        for citation in answer.citations:
            yield citation
        yield answer

    def _room(self, task: Task) -> int:
        """Tokens for the prompt."""
        room = self.info.context_tokens - task.max_output_tokens
        if room < _LEAST_ROOM:
            raise errors.InvalidArgument.of(
                "options.max_output_tokens",
                f"leaves no room for passages: {self.info.name} takes {self.info.context_tokens} "
                "tokens, prompt and answer together",
            )
        return room

    async def _judged(self, task: Task) -> tuple[float | None, Skipped | None]:
        if not task.passages:
            return None, Skipped.NO_PASSAGES
        found = await asyncio.to_thread(extractive.answer, task.question, task.passages)
        least = _LEAST_EVIDENCE if task.min_score is None else task.min_score
        weak = task.mode is Mode.REFUSE and found.confidence < least
        return found.confidence, Skipped.WEAK_EVIDENCE if weak else None

    async def _written(
        self, task: Task, prompt: Prompt, draft: _Draft
    ) -> AsyncGenerator[str, None]:
        markers = MarkerFilter(len(prompt.passages))
        sampling = Sampling(task.max_output_tokens, task.temperature, task.seed)
        deadline = asyncio.get_running_loop().time() + max(task.seconds - _RESERVE, 0)
        async with aclosing(self._model.write(prompt.system, prompt.user, sampling)) as pieces:
            while piece := await _next(pieces, deadline, draft):
                if ready := _gathered(draft, piece, markers.feed(piece.text), self._interval):
                    yield ready
        rest = "".join(draft.unsent)
        draft.text += rest
        if rest:
            yield rest

    async def _finished(
        self, task: Task, prompt: Prompt, draft: _Draft, confidence: float | None, tongue: str
    ) -> Answer:
        claims = await self._claims(task, prompt.passages, draft.text)
        answer = Answer(
            draft.text,
            tuple(citations(draft.text, prompt.passages)),
            claims,
            confidence=confidence,
            model=self.info.name,
            prompt_version=prompt.version,
            finish=draft.finish,
            input_tokens=draft.input_tokens,
            output_tokens=draft.output_tokens,
        )
        least = _LEAST_SUPPORT if task.min_score is None else task.min_score
        if task.mode is Mode.REFUSE and answer.support < least:
            return _withheld(answer, tongue)
        return answer

    async def _claims(
        self, task: Task, passages: Sequence[Passage], text: str
    ) -> tuple[Claim, ...]:
        if task.mode is Mode.OFF:
            return ()
        return await asyncio.to_thread(groundedness, without_markers(text), passages)


async def _next(pieces: AsyncIterator[Piece], deadline: float, draft: _Draft) -> Piece | None:
    """The next piece; None at the end, and when the time is up after the first words."""
    try:
        async with asyncio.timeout_at(deadline):
            return await anext(pieces, None)
    except TimeoutError as error:
        if not draft.text:
            raise errors.DeadlineExceeded(
                "the model wrote nothing in time", metadata={"stage": "generate"}
            ) from error
        draft.finish = Finish.DEADLINE
        return None


def _gathered(draft: _Draft, piece: Piece, shown: str, interval: float) -> str:
    """What is to be sent now; nothing while words are being gathered."""
    draft.unsent.append(shown)
    if piece.finish:
        draft.finish = piece.finish
        draft.input_tokens, draft.output_tokens = piece.input_tokens, piece.output_tokens
    now = monotonic()
    if now - draft.sent_at < interval and draft.text:
        return ""
    ready = "".join(draft.unsent)
    draft.unsent.clear()
    draft.text += ready
    draft.sent_at = now
    return ready


def _withheld(answer: Answer, tongue: str) -> Answer:
    return Answer(
        apology(Skipped.UNGROUNDED, tongue),
        claims=answer.claims,
        skipped=Skipped.UNGROUNDED,
        confidence=answer.confidence,
        model=answer.model,
        prompt_version=answer.prompt_version,
        finish=answer.finish,
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
    )
