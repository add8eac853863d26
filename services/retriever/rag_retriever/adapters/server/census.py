"""What a collection on a server holds, of all tenants, and whether its documents agree."""

from qdrant_client import AsyncQdrantClient, models

from rag_retriever.adapters import matching
from rag_retriever.adapters.matching import OneOf
from rag_retriever.adapters.payload import CHUNK, DOCUMENT, SCOPE
from rag_retriever.adapters.server.requests import having, translated
from rag_retriever.ports import Holdings

# More tenants and collections than these are not counted.
_MOST_SCOPES = 100_000
_PAGE = 256
_COUNT = "passage_count"


async def holdings(client: AsyncQdrantClient, collection: str) -> Holdings:
    """What it holds; what the server has not put into a graph yet counts as unoptimised."""
    counts = matching.kinds(await _scopes(client, collection))
    with translated():
        info = await client.get_collection(collection)
    optimizing = info.status is not models.CollectionStatus.GREEN
    behind = max(0, (info.points_count or 0) - (info.indexed_vectors_count or 0))
    return Holdings(counts[DOCUMENT], counts[CHUNK], behind * optimizing, None)


async def drift(client: AsyncQdrantClient, collection: str) -> int:
    """Chunks less those that the documents announce."""
    scopes = await _scopes(client, collection)
    tokens = [scope for scope in scopes if matching.kind_of(scope) == DOCUMENT]
    announced = await _announced(client, collection, tokens) if tokens else 0
    return matching.kinds(scopes)[CHUNK] - announced


async def _announced(client: AsyncQdrantClient, collection: str, tokens: list[str]) -> int:
    where, after, announced = having(OneOf(SCOPE, tokens)), None, 0
    while True:
        with translated():
            records, after = await client.scroll(
                collection,
                where,
                limit=_PAGE,
                offset=after,
                with_payload=[f"{DOCUMENT}.{_COUNT}"],
            )
        announced += sum(int((one.payload or {})[DOCUMENT][_COUNT]) for one in records)
        if after is None:
            return announced


async def _scopes(client: AsyncQdrantClient, collection: str) -> dict[str, int]:
    with translated():
        found = await client.facet(collection, SCOPE, limit=_MOST_SCOPES)
    return {str(hit.value): hit.count for hit in found.hits}
