"""How an index's collection is made on a server."""

from dataclasses import dataclass

from qdrant_client import AsyncQdrantClient, models

from rag_retriever.adapters.payload import DENSE, KEYWORDS, SCOPE, SPARSE
from rag_retriever.adapters.server.record import write_record
from rag_retriever.adapters.server.requests import translated
from rag_retriever.ports import IndexSpec


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How collections are made. `int8` searches rounded vectors and rescores with the whole."""

    prefix: str = "rag-"
    replicas: int = 1
    write_consistency: int = 1
    shards: int | None = None
    int8: bool = False
    on_disk: bool = False
    tenant_idf: bool = True


async def make_collection(
    client: AsyncQdrantClient, collection: str, spec: IndexSpec, options: ServerOptions
) -> None:
    """The record comes last: a collection without it is no index yet, and is finished later."""
    with translated():
        if not await client.collection_exists(collection):
            await _create(client, collection, spec, options)
        for field in KEYWORDS:
            keyword = models.PayloadSchemaType.KEYWORD
            await client.create_payload_index(collection, field, keyword)
        tenant = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
        await client.create_payload_index(collection, SCOPE, tenant)
    await write_record(client, collection, spec)


async def _create(
    client: AsyncQdrantClient, collection: str, spec: IndexSpec, options: ServerOptions
) -> None:
    dense = models.VectorParams(
        size=spec.dimensions, distance=models.Distance.COSINE, on_disk=options.on_disk
    )
    await client.create_collection(
        collection,
        vectors_config={DENSE: dense},
        sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
        # Graphs within tenants only (Qdrant's guide to multitenancy): no search goes beyond one.
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
