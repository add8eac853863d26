"""Changes to documents, each in an order that a crash at any moment can be healed from."""

from collections.abc import Sequence

import qdrant_edge as edge

from rag_common.errors import Aborted, EmbeddingMismatch
from rag_retriever.adapters import matching, payload
from rag_retriever.adapters.edge.engine import having, index_range, point
from rag_retriever.adapters.edge.shard import Shard
from rag_retriever.adapters.payload import CHUNK, DOCUMENT, SCOPE
from rag_retriever.passages import Document, DocumentKey, VectorChunk

_FLOAT_BYTES = 4
_BATCH = 128
_MOST_RANGES = 64
_INDEX_RANGES_BELOW = 5_000


class Writer:
    """Stages, publishes and removes; to be called from one thread at a time."""

    def __init__(self, shard: Shard, dimensions: int) -> None:
        self._shard = shard
        self._dimensions = dimensions
        self.wanted_ranges: set[str] = set()
        self.know_ranges()

    def stage(self, document: Document, chunks: Sequence[VectorChunk]) -> None:
        """A version that is published already stays as it is."""
        if any(len(chunk.dense) != self._dimensions * _FLOAT_BYTES for chunk in chunks):
            raise EmbeddingMismatch(f"this index holds vectors of {self._dimensions} dimensions")
        self._index_ranges(document)
        for first in range(0, len(chunks), _BATCH):
            self._stage(document, chunks[first : first + _BATCH])

    def publish(self, document: Document) -> None:
        """Aborted where chunks are missing: another call removed them meanwhile."""
        if self._count(document) < document.passage_count:
            raise Aborted("chunks of this version are gone; the document was changed meanwhile")
        self._publish(document)

    def discard(self, document: Document) -> None:
        tenant = document.key.tenant
        kept = [matching.published(tenant, CHUNK), *matching.no_chunk(tenant)]
        self._remove(matching.owned(document.key), matching.of_version(document), never=kept)

    def delete(self, key: DocumentKey) -> int | None:
        chunks = having(matching.owned(key), matching.published(key.tenant, CHUNK))
        with self._shard.reading() as engine:
            known = engine.retrieve([key.point_id()], False, False)
            count = engine.count(edge.CountRequest(filter=chunks))
        self._remove(matching.owned(key))
        return count if known else None

    def heal(self) -> None:
        """Finish what a crash interrupted between showing a version and removing the one before."""
        request = edge.ScrollRequest(
            limit=100, filter=having(matching.PUBLISHING), with_payload=[DOCUMENT]
        )
        with self._shard.reading() as engine:
            notes, _ = engine.scroll(request)
        for note in notes:
            self._publish(payload.document_from(note.payload or {}))

    def know_ranges(self) -> None:
        """Ask the engine which fields answer ranges from an index."""
        with self._shard.reading() as engine:
            self._ranges = set(engine.info().payload_schema)
        self.wanted_ranges -= self._ranges

    def _stage(self, document: Document, chunks: Sequence[VectorChunk]) -> None:
        ids = [document.key.point_id(document.version, one.chunk.ordinal) for one in chunks]
        published = self._published(ids)
        points = [
            point(id, payload.staged_payload(document, one.chunk), one)
            for id, one in zip(ids, chunks, strict=True)
            if id not in published
        ]
        if points:
            self._shard.write(edge.UpdateOperation.upsert_points(points), points=len(points))

    def _published(self, ids: list[str]) -> set[str]:
        with self._shard.reading() as engine:
            found = engine.retrieve(list(ids), [SCOPE], False)
        return {str(record.id) for record in found if (record.payload or {}).get(SCOPE)}

    def _publish(self, document: Document) -> None:
        self._shard.write(*publishing(document))

    def _count(self, document: Document) -> int:
        version = [matching.owned(document.key), matching.of_version(document)]
        chunks = having(*version, never=matching.no_chunk(document.key.tenant))
        with self._shard.reading() as engine:
            return engine.count(edge.CountRequest(filter=chunks))

    def _remove(self, *must: matching.Match, never: Sequence[matching.Match] = ()) -> None:
        points = having(*must, never=never)
        self._shard.write(edge.UpdateOperation.delete_points_by_filter(points))

    def _index_ranges(self, document: Document) -> None:
        """A large index would stand still for seconds: there it is left to the next optimising."""
        new = payload.range_fields(document) - self._ranges
        if new and self._shard.points >= _INDEX_RANGES_BELOW:
            self.wanted_ranges |= new
            return
        for field in sorted(new)[: max(0, _MOST_RANGES - len(self._ranges))]:
            self._shard.write(index_range(field))
            self._ranges.add(field)


def publishing(document: Document) -> list[edge.UpdateOperation]:
    """The steps from one version to the next; the note comes first and goes last, for `heal`."""
    key, version = document.key, matching.of_version(document)
    note = point(key.point_id("publishing"), payload.publishing_payload(document))
    record = point(key.point_id(), payload.published_payload(document, DOCUMENT))
    chunks = having(matching.owned(key), version, never=matching.no_chunk(key.tenant))
    others = having(matching.owned(key), never=[version, *matching.no_chunk(key.tenant)])
    update = edge.UpdateOperation
    return [
        update.upsert_points([note]),
        update.set_payload_by_filter(chunks, payload.published_payload(document, CHUNK)),
        update.delete_points_by_filter(others),
        update.upsert_points([record]),
        update.delete_points([key.point_id("publishing")]),
    ]
