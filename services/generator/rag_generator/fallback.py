"""Answers where a language model is away: another backend's, which say so."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from rag_common import errors
from rag_generator.core import Answer, Backend, Event, ModelInfo, Task

DEGRADED = "language_model"


class Fallback:
    """A backend, and one that answers in its stead where it raises Unavailable before its first words.

    An answer of the other is marked as degraded and names the other's model. Once words are out,
    Unavailable goes to the caller: two halves by different hands are no answer. `fell` is told of
    each task that the other gets.
    """

    def __init__(
        self, backend: Backend, other: Backend, fell: Callable[[], None] = lambda: None
    ) -> None:
        self._backend = backend
        self._other = other
        self._fell = fell

    @property
    def info(self) -> ModelInfo:
        """The first backend's, for that is what is asked for."""
        return self._backend.info

    async def answer(self, task: Task) -> AsyncGenerator[Event, None]:
        """The backend's events, or the other's. Raises AppError."""
        begun = False
        try:
            async with aclosing(self._backend.answer(task)) as events:
                async for event in events:
                    begun = True
                    yield event
            return
        except errors.Unavailable:
            if begun:
                raise
        self._fell()
        async with aclosing(self._other.answer(task)) as events:
            async for event in events:
                yield _marked(event)


def _marked(event: Event) -> Event:
    return replace(event, degraded=(DEGRADED,)) if isinstance(event, Answer) else event
