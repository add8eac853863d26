"""The collection of an index on a Qdrant server: its creation and its counts."""

from dataclasses import dataclass

from rag_retriever.engines import predicates
from rag_retriever.engines.payload import CHUNK, DENSE, DOCUMENT, KEYWORD_FIELDS, SCOPE, SPARSE
from rag_retriever.engines.predicates import AnyOf
from rag_retriever.engines.server.messages import pb
from rag_retriever.engines.server.metadata_point import write_metadata
from rag_retriever.engines.server.nodes import Nodes
from rag_retriever.engines.server.requests import all_of, fields
from rag_retriever.engines.server.values import from_values
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
    if not await exists(nodes, collection):
        request = _creation(collection, spec, options)
        await nodes.write(lambda client: client.grpc_collections.Create(request))
    for field in KEYWORD_FIELDS:
        await _add_keyword_index(nodes, collection, field, pb.KeywordIndexParams())
    await _add_keyword_index(nodes, collection, SCOPE, pb.KeywordIndexParams(is_tenant=True))
    await write_metadata(nodes, collection, spec)


async def exists(nodes: Nodes, collection: str) -> bool:
    """Whether the server has this collection."""
    request = pb.CollectionExistsRequest(collection_name=collection)
    response = await nodes.read(lambda client: client.grpc_collections.CollectionExists(request))
    return bool(response.result.exists)


async def info(nodes: Nodes, collection: str) -> pb.CollectionInfo:
    """The server's description of a collection. Raises IndexNotFound if there is none."""
    request = pb.GetCollectionInfoRequest(collection_name=collection)
    response = await nodes.read(lambda client: client.grpc_collections.Get(request))
    result: pb.CollectionInfo = response.result
    return result


async def _add_keyword_index(
    nodes: Nodes, collection: str, field: str, params: pb.KeywordIndexParams
) -> None:
    request = pb.CreateFieldIndexCollection(
        collection_name=collection,
        wait=True,
        field_name=field,
        field_type=pb.FieldType.FieldTypeKeyword,
        field_index_params=pb.PayloadIndexParams(keyword_index_params=params),
    )
    await nodes.write(lambda client: client.grpc_points.CreateFieldIndex(request))


def _creation(collection: str, spec: IndexSpec, options: ServerOptions) -> pb.CreateCollection:
    dense = pb.VectorParams(size=spec.dimensions, distance=pb.Distance.Cosine, on_disk=options.int8)
    sparse = pb.SparseVectorParams(modifier=pb.Modifier.Idf)
    return pb.CreateCollection(
        collection_name=collection,
        vectors_config=pb.VectorsConfig(params_map=pb.VectorParamsMap(map={DENSE: dense})),
        sparse_vectors_config=pb.SparseVectorConfig(map={SPARSE: sparse}),
        # Builds graphs per tenant only (Qdrant's multitenancy guide): no search spans several tenants.
        hnsw_config=pb.HnswConfigDiff(m=0, payload_m=16, ef_construct=128),
        quantization_config=_int8() if options.int8 else None,
        replication_factor=options.replicas,
        write_consistency_factor=options.write_consistency,
        shard_number=options.shards,
    )


def _int8() -> pb.QuantizationConfig:
    scalar = pb.ScalarQuantization(type=pb.QuantizationType.Int8, quantile=0.99, always_ram=True)
    return pb.QuantizationConfig(scalar=scalar)


async def collect_stats(nodes: Nodes, collection: str) -> IndexStats:
    """The counts of a collection; points that the server has not added to a graph are unoptimised."""
    counts = predicates.count_by_kind(await _scopes(nodes, collection))
    described = await info(nodes, collection)
    optimizing = described.status != pb.CollectionStatus.Green
    behind = max(0, described.points_count - described.indexed_vectors_count)
    return IndexStats(counts[DOCUMENT], counts[CHUNK], behind * optimizing, None)


async def drift(nodes: Nodes, collection: str) -> int:
    """Chunks minus those that the documents declare."""
    scopes = await _scopes(nodes, collection)
    tokens = [scope for scope in scopes if predicates.kind_of(scope) == DOCUMENT]
    declared = await _declared_chunks(nodes, collection, tokens) if tokens else 0
    return predicates.count_by_kind(scopes)[CHUNK] - declared


async def _declared_chunks(nodes: Nodes, collection: str, tokens: list[str]) -> int:
    request = pb.ScrollPoints(
        collection_name=collection,
        filter=all_of(AnyOf(SCOPE, tokens)),
        limit=_PAGE,
        with_payload=fields([f"{DOCUMENT}.{_COUNT}"]),
    )
    declared = 0
    while True:
        page = await nodes.read(lambda client: client.grpc_points.Scroll(request))
        payloads = (from_values(one.payload) for one in page.result)
        declared += sum(int(payload[DOCUMENT][_COUNT]) for payload in payloads)
        if not page.HasField("next_page_offset"):
            return declared
        request.offset.CopyFrom(page.next_page_offset)


async def _scopes(nodes: Nodes, collection: str) -> dict[str, int]:
    request = pb.FacetCounts(collection_name=collection, key=SCOPE, limit=_MAX_SCOPES)
    facet = await nodes.read(lambda client: client.grpc_points.Facet(request))
    return {hit.value.string_value: hit.count for hit in facet.hits}
