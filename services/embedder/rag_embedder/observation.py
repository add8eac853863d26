"""What a scheduler tells of its work to who wants to know."""

from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol


@dataclass(slots=True, eq=False)
class Asked:
    """A request as an observer sees it; `began` is None until a text of it is computed.

    Both moments are of time.monotonic(). `note` is the observer's own, for finding again what it
    noted when the request came.
    """

    priority: int
    texts: int
    tokens: int
    queued: float = field(default_factory=monotonic)
    began: float | None = None
    note: Any = None


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that was computed, or failed with `error`: of each text, its request and its tokens.

    Both moments are of time.monotonic().
    """

    texts: list[tuple[Asked, int]]
    began: float
    ended: float
    error: Exception | None = None


class Observer(Protocol):
    """Is told of requests and batches, on the event loop; it must neither block nor raise."""

    def came(self, asked: Asked) -> None:
        """A request is queued; its own task tells."""
        ...

    def ran(self, batch: Batch) -> None:
        """A batch has ended; a lane tells, and its requests may be gone."""
        ...

    def went(self, asked: Asked, waited: float, error: BaseException | None) -> None:
        """A request is done or given up; its own task tells. `waited`: seconds of its longest wait."""
        ...


class Unobserved:
    """Takes note of nothing."""

    def came(self, asked: Asked) -> None:
        return

    def ran(self, batch: Batch) -> None:
        return

    def went(self, asked: Asked, waited: float, error: BaseException | None) -> None:
        return
