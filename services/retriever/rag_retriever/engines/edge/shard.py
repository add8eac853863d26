"""The live shard: atomic changes, a write log for its successor, and the swap to it."""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import qdrant_edge as edge

from rag_retriever.engines.edge.engine import Change, index_range, translate_errors
from rag_retriever.engines.edge.write_log import WriteLog, transfer

_PAGE = 1_000
# Points copied per step; other writes run between the steps.
_STEP_POINTS = 512


class Shard:
    """Can be read from any thread, and written from one thread at a time.

    Each engine call holds the GIL anyway; the lock only keeps readers out of a change that takes
    several engine calls, a few milliseconds at most.
    """

    def __init__(self, engine: edge.EdgeShard, changed: int) -> None:
        """`changed` is the number of points written since its search graph was built."""
        self._engine = engine
        self.changed = changed
        self._lock = threading.Lock()
        self._epoch = uuid.uuid4().hex[:8]
        self._writes = 0
        self._write_log: WriteLog | None = None

    @property
    def version(self) -> str:
        """Changes with every write and with every start."""
        return f"{self._epoch}-{self._writes}"

    @property
    def points(self) -> int:
        with self.reading() as engine:
            return engine.info().points_count

    @property
    def indexed_fields(self) -> set[str]:
        """The payload fields that have an index."""
        with self.reading() as engine:
            return set(engine.info().payload_schema)

    @contextmanager
    def reading(self) -> Iterator[edge.EdgeShard]:
        """The engine, while no change is in progress. Raises Unavailable if it fails."""
        with self._lock, translate_errors():
            yield self._engine

    def write(self, *changes: Change, points: int = 1) -> None:
        """Apply these atomically for readers. Durable on return: they are in the write-ahead log."""
        with self._lock, translate_errors():
            self._writes += 1
            self.changed += points
            for change in changes:
                if self._write_log is not None:
                    self._write_log.add(change.ids)
                    if change.where is not None:
                        self._write_log.add(_ids(self._engine, change.where))
                self._engine.update(change.operation)

    def start_write_log(self, limit: int) -> WriteLog:
        """Start logging which points are written, for a successor; replaces an earlier write log."""
        self._write_log = WriteLog(limit)
        return self._write_log

    def stop_write_log(self) -> None:
        self._write_log = None

    def uses(self, successor: "Successor") -> bool:
        """Whether the successor has taken over."""
        return self._engine is successor.engine

    def close(self) -> None:
        with self._lock, translate_errors():
            self._engine.close()

    def replace_with(self, successor: "Successor", commit: Callable[[], None]) -> None:
        """Switch to the successor's engine, which has caught up; `commit` makes the switch durable."""
        with self._lock:
            commit()
            self._engine = successor.engine
            self._write_log = None
            self.changed = successor.added


class Successor:
    """A copy of a shard with a new graph, which catches up with the writes since it was copied."""

    def __init__(self, engine: edge.EdgeShard, shard: Shard, write_log: WriteLog) -> None:
        self.engine = engine
        self.optimized = engine.info().points_count
        self.added = 0
        self._shard = shard
        self._write_log = write_log
        # Writes during the build say nothing about the current write rate.
        write_log.added_count = 0

    def catch_up(self) -> bool:
        """Copy the next logged points; whether none are left, so that the swap can follow at once.

        Must be called in the writer thread. Each step copies at least twice the points logged since
        the last one, so the backlog shrinks at any write rate.
        """
        count = max(_STEP_POINTS, 2 * self._write_log.added_count)
        self._write_log.added_count = 0
        ids = self._write_log.pop(count)
        with translate_errors():
            self.added += transfer(self._shard.reading, self.engine, ids)
            if self._write_log:
                return False
            self._add_ranges()
        return not self._write_log.full

    def _add_ranges(self) -> None:
        """Create the range indexes that the live shard has got since it was copied."""
        fields = self._shard.indexed_fields
        for field in sorted(fields - set(self.engine.info().payload_schema)):
            self.engine.update(index_range(field).operation)


def _ids(engine: edge.EdgeShard, where: edge.Filter) -> list[str]:
    ids: list[str] = []
    after = None
    while True:
        request = edge.ScrollRequest(
            offset=after, limit=_PAGE, filter=where, with_payload=False, with_vector=False
        )
        records, after = engine.scroll(request)
        ids += [str(record.id) for record in records]
        if after is None:
            return ids
