"""A language model that does not answer is left alone for some seconds, so that nobody waits for it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress

import structlog

from rag_common import errors
from rag_generator.core import ModelInfo
from rag_generator.prompted import LanguageModel, Piece, Sampling

log = structlog.get_logger()

# Long enough that a question in many waits for a dead server, short enough that nobody notices
# how late we notice that it is back.
_SECONDS = 5.0
# Below the two seconds that readiness gives to a check.
_WORD_SECONDS = 1.5
_ONE_WORD = Sampling(max_tokens=1, temperature=0.0, seed=None)
# Whoever refuses a request is there.
_REFUSALS = (errors.InvalidArgument, errors.NotFound, errors.ResourceExhausted)


class Circuit:
    """Whether to ask something that may be away.

    For `seconds` after a failure nobody asks; then one does, and the others go on without for as
    long again, or until it has answered.
    """

    def __init__(
        self, seconds: float = _SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._until: float | None = None

    @property
    def whole(self) -> bool:
        """Whether the last that was heard of it was good."""
        return self._until is None

    @property
    def wait(self) -> float:
        """Seconds until somebody may ask."""
        return 0.0 if self._until is None else max(0.0, self._until - self._clock())

    def admits(self) -> bool:
        """Whether the caller is to ask; where it has failed before, this takes the only turn."""
        if self._until is None:
            return True
        if self.wait:
            return False
        self.failed()
        return True

    def failed(self) -> None:
        """It did not answer."""
        self._until = self._clock() + self._seconds

    def answered(self) -> None:
        """It did."""
        self._until = None


class Guarded:
    """A language model behind a circuit: where it was away a moment ago, it is away at once."""

    def __init__(self, model: LanguageModel, circuit: Circuit) -> None:
        self._model = model
        self._circuit = circuit

    @property
    def info(self) -> ModelInfo:
        """The model's."""
        return self._model.info

    async def write(
        self, system: str, user: str, sampling: Sampling
    ) -> AsyncGenerator[Piece, None]:
        """The model's words. Raises what the model does, and Unavailable without asking it."""
        if not self._circuit.admits():
            raise self._away()
        async with aclosing(self._watched(system, user, sampling)) as pieces:
            async for piece in pieces:
                yield piece

    async def ready(self) -> None:
        """Return where the model answered when it was last asked. Raises Unavailable.

        One that was away is asked for a word once the circuit's wait is over, so that it is found
        again without a question. A list of models would not do: a server that hangs may have it.
        """
        if not self._circuit.whole and not self._circuit.wait:
            await self._tried()
        if not self._circuit.whole:
            raise self._away()

    async def _tried(self) -> None:
        # Takes no turn, and a word that is late says nothing: a slow model is left to the questions.
        with suppress(TimeoutError, errors.AppError):
            async with (
                asyncio.timeout(_WORD_SECONDS),
                aclosing(self._watched("", "Hi", _ONE_WORD)) as pieces,
            ):
                await anext(pieces, None)

    async def _watched(
        self, system: str, user: str, sampling: Sampling
    ) -> AsyncGenerator[Piece, None]:
        try:
            async with aclosing(self._model.write(system, user, sampling)) as pieces:
                async for piece in pieces:
                    self._heard()
                    yield piece
        except errors.Unavailable:
            self._missed()
            raise
        except _REFUSALS:
            self._heard()
            raise

    def _heard(self) -> None:
        if not self._circuit.whole:
            log.info("language_model", up=True, model=self.info.name)
            self._circuit.answered()

    def _missed(self) -> None:
        if self._circuit.whole:
            log.warning("language_model", up=False, model=self.info.name)
        self._circuit.failed()

    def _away(self) -> errors.Unavailable:
        return errors.Unavailable(
            "the language model does not answer",
            metadata={"peer": "llm"},
            retry_after=max(1.0, self._circuit.wait),
        )
