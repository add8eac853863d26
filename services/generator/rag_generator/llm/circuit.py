"""A circuit breaker for language models: after a failure, calls fail at once for some seconds."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager, suppress

import structlog

from rag_contract import errors
from rag_generator.llm.model import LanguageModel, Sampling

log = structlog.get_logger()

# Long enough that few questions wait for a dead server, short enough that a recovered one is soon
# used again.
_OPEN_SECONDS = 5.0
# Less than the two seconds that a readiness check may take.
_PROBE_SECONDS = 1.5
_PROBE = Sampling(max_tokens=1, temperature=0.0, seed=None)
# Errors of a server that is available but rejects the request.
_REJECTIONS = (
    errors.InvalidArgument,
    errors.ModelRefused,
    errors.NotFound,
    errors.ResourceExhausted,
)


class CircuitBreaker:
    """Decides whether to call a dependency that may be unavailable.

    For `seconds` after a failure no call is allowed. Then one call is, and no other for as long
    again or until a success is recorded.
    """

    def __init__(
        self, seconds: float = _OPEN_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._until: float | None = None

    @property
    def closed(self) -> bool:
        """Whether the last recorded result was a success; True before the first one."""
        return self._until is None

    @property
    def wait(self) -> float:
        """Seconds until a call is allowed; 0 if it is now."""
        return 0.0 if self._until is None else max(0.0, self._until - self._clock())

    def allow(self) -> bool:
        """Whether the caller may call now; after a failure, True uses up the only permit."""
        if self._until is None:
            return True
        if self.wait:
            return False
        self.record_failure()
        return True

    def record_failure(self) -> None:
        """Record that the dependency did not answer; allows no call for `seconds`."""
        self._until = self._clock() + self._seconds

    def record_success(self) -> None:
        """Record that the dependency answered; allows all calls."""
        self._until = None


class ModelGuard:
    """Puts a language model behind a circuit breaker; while it is open, calls fail at once."""

    def __init__(self, model: LanguageModel, breaker: CircuitBreaker) -> None:
        self._model = model
        self._breaker = breaker

    @contextmanager
    def call(self) -> Iterator[Callable[[], None]]:
        """A context for one call of the model, which calls the yielded function for each chunk.

        Raises Unavailable before the block while the breaker is open.
        """
        if not self._breaker.allow():
            raise self._unavailable()
        with self._monitored():
            yield self._on_success

    async def ready(self) -> None:
        """Return if the last call succeeded. Raises Unavailable.

        A model that was unavailable is probed once the breaker allows it, so that its recovery is
        noticed without a question. The probe asks for one token, because a hanging server may still
        list its models.
        """
        if not self._breaker.closed and not self._breaker.wait:
            await self._probe()
        if not self._breaker.closed:
            raise self._unavailable()

    async def _probe(self) -> None:
        # Uses no permit, and a timeout is not a failure: the next question decides about a slow model.
        with suppress(TimeoutError, errors.AppError), self._monitored():
            async with (
                asyncio.timeout(_PROBE_SECONDS),
                aclosing(self._model.write("", "Hi", _PROBE)) as chunks,
            ):
                if await anext(chunks, None):
                    self._on_success()

    @contextmanager
    def _monitored(self) -> Iterator[None]:
        """Record a failed call; success is recorded with each chunk."""
        try:
            yield
        except errors.Unavailable:
            self._on_failure()
            raise
        except _REJECTIONS:
            self._on_success()
            raise

    def _on_success(self) -> None:
        if not self._breaker.closed:
            log.info("language_model", up=True, model=self._model.info.name)
            self._breaker.record_success()

    def _on_failure(self) -> None:
        if self._breaker.closed:
            log.warning("language_model", up=False, model=self._model.info.name)
        self._breaker.record_failure()

    def _unavailable(self) -> errors.Unavailable:
        return errors.DependencyDown(
            "the language model is unavailable",
            metadata={"peer": "llm"},
            retry_after=max(1.0, self._breaker.wait),
        )
