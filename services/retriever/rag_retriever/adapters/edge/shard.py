"""The shard in use: changes that readers see whole, a journal for a successor, and the swap."""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import qdrant_edge as edge

from rag_retriever.adapters.edge.engine import translated

_JOURNAL_POINTS = 50_000
_REPLAY_BATCH = 16


class Shard:
    """Reads from any thread; writes from one at a time.

    Each engine call holds the interpreter anyway; the lock only keeps a reader out of a change that
    takes several calls, which is some milliseconds at most.
    """

    def __init__(self, engine: edge.EdgeShard, optimized: int) -> None:
        """`optimized` counts the points that are in its search graph."""
        self._engine = engine
        self.changed = max(0, engine.info().points_count - optimized)
        self._lock = threading.Lock()
        self._epoch = uuid.uuid4().hex[:8]
        self._writes = 0
        self._journal: Journal | None = None

    @property
    def version(self) -> str:
        """Another after every write and after every start."""
        return f"{self._epoch}-{self._writes}"

    @property
    def points(self) -> int:
        with self.reading() as engine:
            return engine.info().points_count

    @contextmanager
    def reading(self) -> Iterator[edge.EdgeShard]:
        """The engine between two changes; Unavailable where it fails."""
        with self._lock, translated():
            yield self._engine

    def write(self, *operations: edge.UpdateOperation, points: int = 1) -> None:
        """Do these as one change to readers. Returned means durable: they are in the log."""
        with self._lock, translated():
            self._writes += 1
            self.changed += points
            if self._journal is not None:
                self._journal.points += points
            for operation in operations:
                self._engine.update(operation)
                if self._journal is not None:
                    self._journal.add(operation)

    def begin_journal(self) -> "Journal":
        """From now on note what is written, for a successor; what was noted before is given up."""
        self._journal = Journal()
        return self._journal

    def end_journal(self) -> None:
        self._journal = None

    def succeed(self, engine: edge.EdgeShard, journaled: int, commit: Callable[[], None]) -> None:
        """Use this engine, which has seen the whole journal; `commit` makes that last."""
        with self._lock:
            commit()
            self._engine = engine
            self._journal = None
            self.changed = journaled

    def close(self) -> None:
        with self._lock, translated():
            self._engine.close()


class Journal:
    """What was written since a copy was taken, up to a bound."""

    def __init__(self) -> None:
        self._operations: list[edge.UpdateOperation] = []
        self.points = 0

    @property
    def full(self) -> bool:
        """Whether something may be missing: the copy it was for is of no use then."""
        return self.points > _JOURNAL_POINTS

    def add(self, operation: edge.UpdateOperation) -> None:
        if self.full:
            self._operations.clear()
        else:
            self._operations.append(operation)

    def replay(self, engine: edge.EdgeShard) -> bool:
        """Do the next few on this engine, in order; whether any are left."""
        batch, self._operations = self._operations[:_REPLAY_BATCH], self._operations[_REPLAY_BATCH:]
        with translated():
            for operation in batch:
                engine.update(operation)
        return bool(self._operations)
