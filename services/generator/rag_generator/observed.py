"""Backends that are watched: how long their answers take, how they end, what they cost."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import monotonic

from rag_common import tracing
from rag_generator.core import Answer, Backend, Event, Finish, ModelInfo, Skipped, Task, Words
from rag_generator.instruments import Instruments

_CUT_SHORT = (Finish.LENGTH, Finish.DEADLINE)
# What is said in these cases is ours, not a model's.
_UNASKED = (Skipped.NO_PASSAGES, Skipped.WEAK_EVIDENCE)


class Observed:
    """A backend whose answers are measured under its model's name."""

    def __init__(self, backend: Backend, instruments: Instruments) -> None:
        self._backend = backend
        self._instruments = instruments

    @property
    def info(self) -> ModelInfo:
        """The backend's."""
        return self._backend.info

    async def answer(self, task: Task) -> AsyncGenerator[Event, None]:
        """The backend's events. Raises what it does."""
        seen = _Seen()
        try:
            async with aclosing(self._backend.answer(task)) as events:
                async for event in events:
                    seen.note(event)
                    yield event
        except (asyncio.CancelledError, GeneratorExit):
            # Whoever has the Answer need not wait for the end behind it.
            seen.outcome = seen.outcome or "cancelled"
            raise
        finally:
            self._tell(seen)

    def _tell(self, seen: "_Seen") -> None:
        model, told = self.info.name, self._instruments
        told.durations.labels(model, seen.outcome or "failed").observe(monotonic() - seen.began)
        if seen.first is not None:
            told.first_tokens.labels(model).observe(seen.first)
        for kind, tokens in seen.tokens.items():
            told.tokens.labels(model, kind).inc(tokens)


class Extracting:
    """The extractive backend, whose work is a span: it has all of its answer at once."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @property
    def info(self) -> ModelInfo:
        """The backend's."""
        return self._backend.info

    async def answer(self, task: Task) -> AsyncGenerator[Event, None]:
        """The backend's events, after the last of them is made. Raises what it does."""
        with tracing.span("extract", attributes={"rag.passages": len(task.passages)}) as span:
            async with aclosing(self._backend.answer(task)) as made:
                events = [event async for event in made]
            last = events[-1]
            if isinstance(last, Answer) and last.confidence is not None:
                span.set("rag.confidence", last.confidence)
        for event in events:
            yield event


class _Seen:
    """What is noted while an answer is written; an outcome only once it is whole."""

    def __init__(self) -> None:
        self.began = monotonic()
        self.first: float | None = None
        self.outcome = ""
        self.tokens: dict[str, int] = {}

    def note(self, event: Event) -> None:
        if isinstance(event, Words) and self.first is None:
            self.first = monotonic() - self.began
        if not isinstance(event, Answer):
            return
        self.outcome = _outcome(event)
        if event.skipped in _UNASKED:
            self.first = None
        self.tokens = {"input": event.input_tokens, "output": event.output_tokens}


def _outcome(answer: Answer) -> str:
    if answer.skipped:
        return answer.skipped.value
    return "cut_short" if answer.finish in _CUT_SHORT else "answered"
