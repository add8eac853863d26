"""Events of the scheduler, and the interface of its observers."""

from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol


@dataclass(slots=True, eq=False)
class RequestInfo:
    """A request as an observer sees it.

    `queued` and `began` are moments of time.monotonic(); `began` is None until the first text of
    the request is computed. `note` is for the observer's own data about this request; the scheduler
    does not use it.
    """

    priority: int
    texts: int
    tokens: int
    queued: float = field(default_factory=monotonic)
    began: float | None = None
    note: Any = None


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that was computed, or that failed with `error`.

    `texts` has the request and the number of tokens of each text. `began` and `ended` are moments
    of time.monotonic().
    """

    texts: list[tuple[RequestInfo, int]]
    began: float
    ended: float
    error: Exception | None = None


class Observer(Protocol):
    """Callbacks for requests and batches, called on the event loop; they must not block or raise."""

    def on_enqueue(self, info: RequestInfo) -> None:
        """A request was queued. Called in the request's own task."""
        ...

    def on_batch(self, batch: Batch) -> None:
        """A batch has ended. Called in a lane's task; its requests may have ended before."""
        ...

    def on_done(self, info: RequestInfo, waited: float, error: BaseException | None) -> None:
        """A request has ended, failed or been cancelled. Called in the request's own task.

        `waited` is the longest wait of its texts in seconds; `error` is None after success.
        """
        ...


class Unobserved:
    """An observer that does nothing."""

    def on_enqueue(self, info: RequestInfo) -> None:
        return

    def on_batch(self, batch: Batch) -> None:
        return

    def on_done(self, info: RequestInfo, waited: float, error: BaseException | None) -> None:
        return
