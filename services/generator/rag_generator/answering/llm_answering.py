"""Answers by a language model: one prompt, a streamed text, checked citations, a grounding check."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, aclosing, asynccontextmanager, nullcontext
from dataclasses import replace

from rag_common.text.language import language
from rag_contract import errors
from rag_generator.answering.citations import MarkerFilter, citations, without_markers
from rag_generator.answering.draft import Draft
from rag_generator.answering.recorder import Recorder
from rag_generator.answering.service import (
    Answer,
    Backend,
    Event,
    Mode,
    Skipped,
    Task,
    TextDelta,
    refusal_message,
)
from rag_generator.evidence import selection
from rag_generator.evidence.grounding import Claim, groundedness
from rag_generator.evidence.sentences import Passage
from rag_generator.llm.model import LanguageModel, ModelInfo, Sampling
from rag_generator.llm.prompt import Prompt, Template

# Lower than the extractive backend's: a model can use evidence that is not worth quoting.
_MIN_EVIDENCE = 0.1
_MIN_SUPPORT = 0.5
# Tokens of the prompt's template and one short passage.
_MIN_ROOM = 256
# Seconds reserved for checking and sending.
_RESERVE = 0.25

# The entry in Answer.degraded if the fallback answers.
DEGRADED = "language_model"

Guard = Callable[[], AbstractContextManager[Callable[[], None]]]


def _unguarded() -> AbstractContextManager[Callable[[], None]]:
    return nullcontext(lambda: None)


class LlmAnswering:
    """Answers with a language model. Text is buffered for `interval` seconds before it is sent.

    `guard` opens a context for each call of the model, which may raise Unavailable instead; the
    block calls the yielded function for each chunk. With `fallback`, that backend answers if
    Unavailable is raised before the first text: its answers are marked as degraded and name its
    model. After the first text Unavailable is raised to the caller, because an answer cannot be
    continued by another model.
    """

    def __init__(
        self,
        model: LanguageModel,
        template: Template,
        *,
        interval: float,
        guard: Guard = _unguarded,
        fallback: Backend | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self._model = model
        self._template = template
        self._interval = interval
        self._guard = guard
        self._fallback = fallback
        self._recorder = recorder or Recorder()

    @property
    def info(self) -> ModelInfo:
        """The language model, which is the one that requests name."""
        return self._model.info

    async def answer(self, task: Task) -> AsyncGenerator[Event, None]:
        """Yield TextDeltas as they are written, then Citations, then the Answer.

        If the passages do not support the text, the Answer is a refusal instead. Raises AppError.
        """
        answer_language = language(task.question, task.language)
        try:
            with self._recorder.answer(self.info.name) as record:
                confidence, reason = await self._judge(task)
                if reason:
                    for event in self._refusal(reason, answer_language, confidence):
                        yield record.add(event)
                    return
                prompt = self._prompt(task, answer_language)
                async with self._writing(task, prompt) as draft:
                    while text := await draft.next_text():
                        yield record.add(TextDelta(text))
                answer = await self._finish(task, prompt, draft, confidence, answer_language)
                for citation in answer.citations:
                    yield record.add(citation)
                yield record.add(answer)
                return
        except errors.Unavailable:
            if self._fallback is None or record.first is not None:
                raise
        self._recorder.on_fallback(self.info.name)
        async with aclosing(self._fallback.answer(task)) as events:
            async for event in events:
                yield _degraded(event)

    def _refusal(
        self, reason: Skipped, answer_language: str, confidence: float | None
    ) -> Sequence[Event]:
        text = refusal_message(reason, answer_language)
        answer = Answer(text, skipped=reason, confidence=confidence, model=self.info.name)
        return TextDelta(text), answer

    def _prompt(self, task: Task, answer_language: str) -> Prompt:
        room = self._room(task)
        return self._template.fill(task.question, task.passages, answer_language, room)

    def _room(self, task: Task) -> int:
        """The number of tokens for the prompt. Raises FieldInvalid if the answer leaves too few."""
        room = self.info.context_tokens - task.max_output_tokens
        if room < _MIN_ROOM:
            raise errors.FieldInvalid.of(
                "options.max_output_tokens",
                f"leaves no room for passages: the context of {self.info.name} is "
                f"{self.info.context_tokens} tokens, prompt and answer together",
            )
        return room

    async def _judge(self, task: Task) -> tuple[float | None, Skipped | None]:
        """The confidence in the evidence, None without passages; and why not to call the model."""
        if not task.passages:
            return None, Skipped.NO_PASSAGES
        extract = await asyncio.to_thread(selection.answer, task.question, task.passages)
        min_evidence = _MIN_EVIDENCE if task.min_score is None else task.min_score
        weak = task.mode is Mode.REFUSE and extract.confidence < min_evidence
        return extract.confidence, Skipped.WEAK_EVIDENCE if weak else None

    @asynccontextmanager
    async def _writing(self, task: Task, prompt: Prompt) -> AsyncIterator[Draft]:
        """Call the model; leaving the block stops it."""
        sampling = Sampling(task.max_output_tokens, task.temperature, task.seed)
        deadline = asyncio.get_running_loop().time() + max(task.seconds - _RESERVE, 0)
        with self._guard() as on_chunk:
            async with aclosing(self._model.write(prompt.system, prompt.user, sampling)) as chunks:
                yield Draft(
                    chunks,
                    MarkerFilter(len(prompt.passages)),
                    interval=self._interval,
                    deadline=deadline,
                    on_chunk=on_chunk,
                )

    async def _finish(
        self, task: Task, prompt: Prompt, draft: Draft, confidence: float | None, language: str
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
        min_support = _MIN_SUPPORT if task.min_score is None else task.min_score
        if task.mode is Mode.REFUSE and answer.support < min_support:
            return _withheld(answer, language)
        return answer

    async def _claims(
        self, task: Task, passages: Sequence[Passage], text: str
    ) -> tuple[Claim, ...]:
        if task.mode is Mode.OFF:
            return ()
        return await asyncio.to_thread(groundedness, without_markers(text), passages)


def _withheld(answer: Answer, language: str) -> Answer:
    return Answer(
        refusal_message(Skipped.UNGROUNDED, language),
        claims=answer.claims,
        skipped=Skipped.UNGROUNDED,
        confidence=answer.confidence,
        model=answer.model,
        prompt_version=answer.prompt_version,
        finish=answer.finish,
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
    )


def _degraded(event: Event) -> Event:
    return replace(event, degraded=(DEGRADED,)) if isinstance(event, Answer) else event
