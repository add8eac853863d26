"""Counts a shard's documents and chunks of all tenants, and compares the two."""

import asyncio
from pathlib import Path

import qdrant_edge as edge

from rag_retriever.engines import predicates
from rag_retriever.engines.edge.engine import all_of
from rag_retriever.engines.edge.shard import Shard
from rag_retriever.engines.payload import CHUNK, DOCUMENT, SCOPE
from rag_retriever.engines.predicates import AnyOf
from rag_retriever.index.ports import IndexStats

# The maximum number of tenants and collections that are counted.
_MAX_SCOPES = 100_000
# Reading a page blocks the process for about a millisecond; other work runs in between.
_PAGE = 128
_PAUSE_SECONDS = 0.005
_COUNT = "passage_count"


def collect_stats(shard: Shard, directory: Path) -> IndexStats:
    """The counts of the shard in this directory. Blocks while it reads file sizes."""
    counts = predicates.count_by_kind(_scopes(shard))
    return IndexStats(counts[DOCUMENT], counts[CHUNK], shard.changed, _disk_bytes(directory))


async def drift(shard: Shard) -> int | None:
    """Chunks minus those that the documents declare; None if the shard was written to meanwhile."""
    version, scopes = shard.version, _scopes(shard)
    tokens = [scope for scope in scopes if predicates.kind_of(scope) == DOCUMENT]
    declared = await _declared_chunks(shard, tokens) if tokens else 0
    return predicates.count_by_kind(scopes)[CHUNK] - declared if shard.version == version else None


def _scopes(shard: Shard) -> dict[str, int]:
    request = edge.FacetRequest(SCOPE, limit=_MAX_SCOPES)
    with shard.reading() as engine:
        return {str(hit.value): hit.count for hit in engine.facet(request).hits}


async def _declared_chunks(shard: Shard, tokens: list[str]) -> int:
    where, after, declared = all_of(AnyOf(SCOPE, tokens)), None, 0
    while True:
        request = edge.ScrollRequest(
            offset=after, limit=_PAGE, filter=where, with_payload=[f"{DOCUMENT}.{_COUNT}"]
        )
        with shard.reading() as engine:
            records, after = engine.scroll(request)
        declared += sum(int((one.payload or {})[DOCUMENT][_COUNT]) for one in records)
        if after is None:
            return declared
        await asyncio.sleep(_PAUSE_SECONDS)


def _disk_bytes(directory: Path) -> int:
    total = 0
    for path in directory.rglob("*"):
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:
            # The shard was swapped since the file was listed.
            continue
    return total
