"""What a shard holds, of all tenants: counted by its keyword index, and compared with its documents."""

import asyncio
from pathlib import Path

import qdrant_edge as edge

from rag_retriever.adapters import matching
from rag_retriever.adapters.edge.engine import having
from rag_retriever.adapters.edge.shard import Shard
from rag_retriever.adapters.matching import OneOf
from rag_retriever.adapters.payload import CHUNK, DOCUMENT, SCOPE
from rag_retriever.ports import Holdings

# More tenants and collections than these are not counted.
_MOST_SCOPES = 100_000
# A page of the engine holds everything for about a millisecond; then others have their turn.
_PAGE = 128
_PAUSE_SECONDS = 0.005
_COUNT = "passage_count"


def holdings(shard: Shard, home: Path) -> Holdings:
    """What the shard in this folder holds. Blocks for as long as the file system takes."""
    counts = matching.kinds(_scopes(shard))
    return Holdings(counts[DOCUMENT], counts[CHUNK], shard.changed, _bytes(home))


async def drift(shard: Shard) -> int | None:
    """Chunks less those that the documents announce; None where something was written meanwhile."""
    version, scopes = shard.version, _scopes(shard)
    tokens = [scope for scope in scopes if matching.kind_of(scope) == DOCUMENT]
    announced = await _announced(shard, tokens) if tokens else 0
    return matching.kinds(scopes)[CHUNK] - announced if shard.version == version else None


def _scopes(shard: Shard) -> dict[str, int]:
    request = edge.FacetRequest(SCOPE, limit=_MOST_SCOPES)
    with shard.reading() as engine:
        return {str(hit.value): hit.count for hit in engine.facet(request).hits}


async def _announced(shard: Shard, tokens: list[str]) -> int:
    where, after, announced = having(OneOf(SCOPE, tokens)), None, 0
    while True:
        request = edge.ScrollRequest(
            offset=after, limit=_PAGE, filter=where, with_payload=[f"{DOCUMENT}.{_COUNT}"]
        )
        with shard.reading() as engine:
            records, after = engine.scroll(request)
        announced += sum(int((one.payload or {})[DOCUMENT][_COUNT]) for one in records)
        if after is None:
            return announced
        await asyncio.sleep(_PAUSE_SECONDS)


def _bytes(home: Path) -> int:
    total = 0
    for path in home.rglob("*"):
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:
            # Swapped for another since it was listed.
            continue
    return total
