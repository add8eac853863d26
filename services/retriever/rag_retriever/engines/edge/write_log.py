"""Logs the ids of points written since a shard was copied, not their content.

The copy catches up by reading the current state of those points from the live shard. So the order of
writes does not matter, a point that was written many times is copied once, and an id takes 100 bytes
instead of the thousands that a point takes.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from itertools import islice
from uuid import UUID

import qdrant_edge as edge

# More points per call would delay readers, which wait for the GIL meanwhile.
_BATCH = 64


class WriteLog:
    """The ids of written points, at most `limit`; `added_count` counts the ids added since it was reset."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ids: set[bytes] = set()
        self.full = False
        self.added_count = 0

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, ids: Iterable[str]) -> None:
        """Log these ids; if the limit is exceeded, the log is emptied and `full` stays set."""
        if self.full:
            return
        before = len(self._ids)
        self._ids.update(UUID(point_id).bytes for point_id in ids)
        self.added_count += len(self._ids) - before
        if len(self._ids) > self._limit:
            self._ids.clear()
            self.full = True

    def pop(self, count: int) -> list[str]:
        """Remove and return up to `count` ids, in arbitrary order."""
        popped = list(islice(self._ids, count))
        self._ids.difference_update(popped)
        return [str(UUID(bytes=raw)) for raw in popped]


def transfer(
    source: Callable[[], AbstractContextManager[edge.EdgeShard]],
    target: edge.EdgeShard,
    ids: list[str],
) -> int:
    """Copy the current state of these points from `source` to `target`; the number that exist there.

    `source` locks the live shard for a single call, so that readers run in between.
    """
    existing = 0
    for first in range(0, len(ids), _BATCH):
        batch = ids[first : first + _BATCH]
        with source() as engine:
            records = engine.retrieve(list(batch), True, True)
        points = [
            edge.Point(record.id, record.vector or {}, record.payload or {}) for record in records
        ]
        if points:
            target.update(edge.UpdateOperation.upsert_points(points))
        gone = set(batch) - {str(record.id) for record in records}
        if gone:
            target.update(edge.UpdateOperation.delete_points(sorted(gone)))
        existing += len(points)
    return existing
