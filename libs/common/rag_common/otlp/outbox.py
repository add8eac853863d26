"""Items on their way out: a bounded queue, one thread that sends batches, and a count of what was lost."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

Item = TypeVar("Item")


class Counts(Protocol):
    """Is told what became of items."""

    def exported(self, items: int) -> None: ...

    def dropped(self, items: int, reason: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Bounds:
    """Most items that wait, most in a batch, and seconds after which a smaller batch goes."""

    queue: int = 2048
    batch: int = 512
    delay: float = 1.0


class Outbox(Generic[Item]):
    """Takes items from any thread at once, and drops the newest where too many wait.

    `send` gives whether a batch arrived, and has a time limit of its own.
    """

    def __init__(
        self, name: str, send: Callable[[Sequence[Item]], bool], bounds: Bounds, counts: Counts
    ) -> None:
        self._send = send
        self._bounds = bounds
        self._counts = counts
        self._items: deque[Item] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"otlp-{name}", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> None:
        """Send it some time soon."""
        if self._closing or len(self._items) >= self._bounds.queue:
            self._counts.dropped(1, "full")
            return
        self._items.append(item)
        if len(self._items) >= self._bounds.batch:
            self._wake.set()

    def close(self, seconds: float) -> None:
        """Send what is left, for at most so long; what is not sent by then is lost."""
        self._closing = True
        self._wake.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(self._bounds.delay)
            self._wake.clear()
            self._empty()
        self._empty()

    def _empty(self) -> None:
        while self._items:
            count = min(len(self._items), self._bounds.batch)
            self._deliver([self._items.popleft() for _ in range(count)])

    def _deliver(self, batch: list[Item]) -> None:
        try:
            arrived = self._send(batch)
        except Exception:
            # Whatever it is: who made the items must not notice, and the next batch may get through.
            arrived = False
        if arrived:
            self._counts.exported(len(batch))
        else:
            self._counts.dropped(len(batch), "failed")
