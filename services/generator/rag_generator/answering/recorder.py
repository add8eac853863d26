"""Measures the answers of backends: duration, time to the first text, outcome and tokens."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import monotonic
from typing import TypeVar

from rag_generator.answering.service import Answer, Event, Skipped, TextDelta
from rag_generator.llm.model import Finish

_E = TypeVar("_E", bound=Event)

_CUT_SHORT = (Finish.LENGTH, Finish.DEADLINE)
# In these cases the text is the generator's own: no model was called.
_WITHOUT_MODEL = (Skipped.NO_PASSAGES, Skipped.WEAK_EVIDENCE)


class Measurement:
    """Measurements of one answer; `outcome` is empty until it is complete, `first` is in seconds.

    `first` is None before the first text, and if the text is not a model's.
    """

    def __init__(self) -> None:
        self.began = monotonic()
        self.first: float | None = None
        self.outcome = ""
        self.tokens: dict[str, int] = {}

    def add(self, event: _E) -> _E:
        """Measure an event that is about to be sent, and return it."""
        if isinstance(event, TextDelta) and self.first is None:
            self.first = monotonic() - self.began
        if isinstance(event, Answer):
            self._complete(event)
        return event

    def _complete(self, answer: Answer) -> None:
        self.outcome = _outcome(answer)
        if answer.skipped in _WITHOUT_MODEL:
            self.first = None
        self.tokens = {"input": answer.input_tokens, "output": answer.output_tokens}


class Recorder:
    """Measures answers and drops the measurements; subclasses export them."""

    @contextmanager
    def answer(self, model: str) -> Iterator[Measurement]:
        """Measure one answer of `model`; the block adds each event before it sends it."""
        measured = Measurement()
        try:
            yield measured
        except (asyncio.CancelledError, GeneratorExit):
            # A caller that has the Answer may close before the end: that is not a cancellation.
            measured.outcome = measured.outcome or "cancelled"
            raise
        finally:
            self.on_answer(model, measured)

    def extraction(self, passages: int) -> AbstractContextManager[Callable[[float], None]]:
        """A context for one extraction; the block passes its confidence to the yielded function."""
        return nullcontext(lambda _confidence: None)

    def on_answer(self, model: str, measured: Measurement) -> None:
        """Called when an answer has ended, also by an error; its `outcome` is empty then."""

    def on_fallback(self, model: str) -> None:
        """Called when another backend starts to answer because `model` is unavailable."""


def _outcome(answer: Answer) -> str:
    if answer.skipped:
        return answer.skipped.value
    return "cut_short" if answer.finish in _CUT_SHORT else "answered"
