"""Changes to documents on a server: one request each, its steps done in their order."""

from collections.abc import Sequence

from qdrant_client import AsyncQdrantClient, models

from rag_common.errors import Aborted, EmbeddingMismatch
from rag_retriever.adapters import matching
from rag_retriever.adapters.payload import (
    CHUNK,
    DOCUMENT,
    SCOPE,
    Payload,
    published_payload,
    range_fields,
    staged_payload,
)
from rag_retriever.adapters.server.record import Record, new_state, state_operation
from rag_retriever.adapters.server.requests import having, translated, vectors
from rag_retriever.passages import Document, DocumentKey, VectorChunk

_FLOAT_BYTES = 4
_BATCH = 128
_MOST_RANGES = 64


class Writer:
    """`state` names the data as this process last wrote or read it."""

    def __init__(self, client: AsyncQdrantClient, collection: str, record: Record) -> None:
        self._client = client
        self._collection = collection
        self._dimensions = record.spec.dimensions
        self._ranges: set[str] | None = None
        self.state = record.state

    async def stage(self, document: Document, chunks: Sequence[VectorChunk]) -> None:
        """A version that is published already stays as it is."""
        if any(len(chunk.dense) != self._dimensions * _FLOAT_BYTES for chunk in chunks):
            raise EmbeddingMismatch(f"this index holds vectors of {self._dimensions} dimensions")
        await self._index_ranges(document)
        for first in range(0, len(chunks), _BATCH):
            await self._stage(document, chunks[first : first + _BATCH])

    async def publish(self, document: Document) -> None:
        """Aborted where chunks are missing: another call removed them meanwhile."""
        key, version = document.key, matching.of_version(document)
        others = matching.no_chunk(key.tenant)
        chunks = having(matching.owned(key), version, never=others)
        if await self._count(chunks) < document.passage_count:
            raise Aborted("chunks of this version are gone; the document was changed meanwhile")
        shown = models.SetPayload(payload=published_payload(document, CHUNK), filter=chunks)
        record = _point(key.point_id(), published_payload(document, DOCUMENT))
        await self._write(
            models.SetPayloadOperation(set_payload=shown),
            _deletion(having(matching.owned(key), never=[version, *others])),
            models.UpsertOperation(upsert=models.PointsList(points=[record])),
        )

    async def discard(self, document: Document) -> None:
        tenant = document.key.tenant
        kept = [matching.published(tenant, CHUNK), *matching.no_chunk(tenant)]
        staged = [matching.owned(document.key), matching.of_version(document)]
        await self._write(_deletion(having(*staged, never=kept)))

    async def delete(self, key: DocumentKey) -> int | None:
        owned = matching.owned(key)
        known = await self._count(having(owned, matching.published(key.tenant, DOCUMENT)))
        count = await self._count(having(owned, matching.published(key.tenant, CHUNK)))
        await self._write(_deletion(having(owned)))
        return count if known else None

    async def _stage(self, document: Document, chunks: Sequence[VectorChunk]) -> None:
        ids = [document.key.point_id(document.version, one.chunk.ordinal) for one in chunks]
        published = await self._published(ids)
        points = [
            _point(id, staged_payload(document, one.chunk), one)
            for id, one in zip(ids, chunks, strict=True)
            if id not in published
        ]
        if points:
            await self._write(models.UpsertOperation(upsert=models.PointsList(points=points)))

    async def _published(self, ids: Sequence[str]) -> set[str]:
        with translated():
            found = await self._client.retrieve(self._collection, ids, with_payload=[SCOPE])
        return {str(record.id) for record in found if (record.payload or {}).get(SCOPE)}

    async def _write(self, *operations: models.UpdateOperation) -> None:
        state = new_state()
        with translated():
            await self._client.batch_update_points(
                self._collection,
                [*operations, state_operation(state)],
                wait=True,
                ordering=models.WriteOrdering.MEDIUM,
            )
        self.state = state

    async def _count(self, where: models.Filter) -> int:
        with translated():
            return (await self._client.count(self._collection, where, exact=True)).count

    async def _index_ranges(self, document: Document) -> None:
        """The server builds an index beside its other work; up to a number of fields."""
        fields = range_fields(document)
        if not fields:
            return
        with translated():
            if self._ranges is None:
                info = await self._client.get_collection(self._collection)
                self._ranges = set(info.payload_schema)
            for field in sorted(fields - self._ranges)[: max(0, _MOST_RANGES - len(self._ranges))]:
                await self._client.create_payload_index(
                    self._collection, field, models.PayloadSchemaType.FLOAT, wait=False
                )
                self._ranges.add(field)


def _point(id: str, payload: Payload, chunk: VectorChunk | None = None) -> models.PointStruct:
    return models.PointStruct(id=id, payload=payload, vector=vectors(chunk) if chunk else {})


def _deletion(where: models.Filter) -> models.DeleteOperation:
    return models.DeleteOperation(delete=models.FilterSelector(filter=where))
