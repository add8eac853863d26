"""Builds a copied shard's search graph in its own process: in ours it would stop everything.

python -m rag_retriever.adapters.edge.build <shard folder> [number field to index …]
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

import qdrant_edge as edge

from rag_retriever.adapters.edge.engine import index_range

_NICENESS = 15
_SET_PARENT_DEATH_SIGNAL = 1


def build(path: str, ranges: Sequence[str]) -> None:
    """Index these fields, optimise until there is nothing left to do, and put it all on disk."""
    shard = edge.EdgeShard.load(path)
    for field in ranges:
        shard.update(index_range(field))
    shard.optimize()
    shard.flush()
    shard.close()


def _die_with_parent() -> None:
    """A build that nobody waits for would go on for minutes; only Linux can be told so."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


if __name__ == "__main__":
    _die_with_parent()
    os.nice(_NICENESS)
    build(sys.argv[1], sys.argv[2:])
