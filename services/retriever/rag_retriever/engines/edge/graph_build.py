"""Builds a copied shard's search graph in a separate process: in this one it would block all calls.

python -m rag_retriever.engines.edge.graph_build <shard directory> [number field to index …]
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

import qdrant_edge as edge

from rag_retriever.engines.edge.engine import index_range

# Searches have priority, but the build must finish within minutes even if they keep all cores busy:
# at 5 it gets about 1/7 of a core, at 10 1/20, at 15 1/50.
_NICENESS = 5
_SET_PARENT_DEATH_SIGNAL = 1


def build(path: str, ranges: Sequence[str]) -> None:
    """Create range indexes for these fields, optimise the shard completely, and flush it to disk."""
    shard = edge.EdgeShard.load(path)
    for field in ranges:
        shard.update(index_range(field).operation)
    shard.optimize()
    shard.flush()
    shard.close()


def _die_with_parent() -> None:
    """Kill this process when its parent dies, so that no orphaned build runs for minutes; Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


if __name__ == "__main__":
    _die_with_parent()
    os.nice(_NICENESS)
    build(sys.argv[1], sys.argv[2:])
