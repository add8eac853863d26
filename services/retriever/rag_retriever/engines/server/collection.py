"""The collection of an index on a Qdrant server: its creation and its counts."""

from dataclasses import dataclass
from functools import partial

from qdrant_client import AsyncQdrantClient, models
from qdrant_client.grpc import PointId

from rag_retriever.engines import predicates
from rag_retriever.engines.payload import CHUNK, DENSE, DOCUMENT, KEYWORD_FIELDS, SCOPE, SPARSE
from rag_retriever.engines.predicates import AnyOf
from rag_retriever.engines.server.metadata_point import write_metadata
from rag_retriever.engines.server.nodes import Nodes
from rag_retriever.engines.server.requests import all_of
from rag_retriever.index.ports import IndexSpec, IndexStats

# The maximum number of tenants and collections that are counted.
_MAX_SCOPES = 100_000
_PAGE = 256
_COUNT = "passage_count"


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Options of new collections.

    `int8` searches quantised vectors in memory and rescores with the original ones, which are on disk.
    """

    prefix: str = "rag-"
    replicas: int = 1
    write_consistency: int = 1
    shards: int | None = None
    int8: bool = False


async def create_collection(
    nodes: Nodes, collection: str, spec: IndexSpec, options: ServerOptions
) -> None:
    """Create a collection, its payload indexes and, last, its metadata point.

    A collection without a metadata point is not an index yet; calling this again completes it.
    """
    if not await nodes.read(lambda client: client.collection_exists(collection)):
        await nodes.write(lambda client: _create(client, collection, spec, options))
    tenant = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
    keyword = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD)
    for field, kind in [*((field, keyword) for field in KEYWORD_FIELDS), (SCOPE, tenant)]:
        add = partial(
            AsyncQdrantClient.create_payload_index,
            collection_name=collection,
            field_name=field,
            field_schema=kind,
        )
        await nodes.write(add)
    await write_metadata(nodes, collection, spec)


async def _create(
    client: AsyncQdrantClient, collection: str, spec: IndexSpec, options: ServerOptions
) -> None:
    dense = models.VectorParams(
        size=spec.dimensions, distance=models.Distance.COSINE, on_disk=options.int8
    )
    await client.create_collection(
        collection,
        vectors_config={DENSE: dense},
        sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
        # Builds graphs per tenant only (Qdrant's multitenancy guide): no search spans several tenants.
        hnsw_config=models.HnswConfigDiff(m=0, payload_m=16, ef_construct=128),
        quantization_config=_int8() if options.int8 else None,
        replication_factor=options.replicas,
        write_consistency_factor=options.write_consistency,
        shard_number=options.shards,
    )


def _int8() -> models.ScalarQuantization:
    return models.ScalarQuantization(
        scalar=models.ScalarQuantizationConfig(
            type=models.ScalarType.INT8, quantile=0.99, always_ram=True
        )
    )


async def collect_stats(nodes: Nodes, collection: str) -> IndexStats:
    """The counts of a collection; points that the server has not added to a graph are unoptimised."""
    counts = predicates.count_by_kind(await _scopes(nodes, collection))
    info = await nodes.read(lambda client: client.get_collection(collection))
    optimizing = info.status is not models.CollectionStatus.GREEN
    behind = max(0, (info.points_count or 0) - (info.indexed_vectors_count or 0))
    return IndexStats(counts[DOCUMENT], counts[CHUNK], behind * optimizing, None)


async def drift(nodes: Nodes, collection: str) -> int:
    """Chunks minus those that the documents declare."""
    scopes = await _scopes(nodes, collection)
    tokens = [scope for scope in scopes if predicates.kind_of(scope) == DOCUMENT]
    declared = await _declared_chunks(nodes, collection, tokens) if tokens else 0
    return predicates.count_by_kind(scopes)[CHUNK] - declared


async def _declared_chunks(nodes: Nodes, collection: str, tokens: list[str]) -> int:
    where, declared = all_of(AnyOf(SCOPE, tokens)), 0
    after: models.ExtendedPointId | PointId | None = None
    while True:
        page = partial(
            AsyncQdrantClient.scroll,
            collection_name=collection,
            scroll_filter=where,
            limit=_PAGE,
            offset=after,
            with_payload=[f"{DOCUMENT}.{_COUNT}"],
        )
        records, after = await nodes.read(page)
        declared += sum(int((one.payload or {})[DOCUMENT][_COUNT]) for one in records)
        if after is None:
            return declared


async def _scopes(nodes: Nodes, collection: str) -> dict[str, int]:
    facet = await nodes.read(lambda client: client.facet(collection, SCOPE, limit=_MAX_SCOPES))
    return {str(hit.value): hit.count for hit in facet.hits}
