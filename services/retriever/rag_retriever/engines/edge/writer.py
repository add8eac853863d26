"""Changes to documents, each in an order that allows recovery from a crash at any moment."""

from collections.abc import Sequence
from dataclasses import replace

import qdrant_edge as edge

from rag_contract.errors import DocumentConflict, EmbeddingMismatch
from rag_retriever.engines import payload, predicates
from rag_retriever.engines.edge.corpus_idf import sample_fields
from rag_retriever.engines.edge.engine import (
    Change,
    all_of,
    delete,
    delete_where,
    index_range,
    point,
    set_payload,
    upsert,
)
from rag_retriever.engines.edge.shard import Shard
from rag_retriever.engines.payload import CHUNK, DOCUMENT, SCOPE
from rag_retriever.index.model import Document, DocumentKey, VectorChunk
from rag_retriever.index.ports import Outcome, Published

_FLOAT_BYTES = 4
_BATCH = 128
_MAX_RANGES = 64
_INDEX_RANGES_BELOW = 5_000


class Writer:
    """Stages, publishes and removes documents; must be called from one thread at a time."""

    def __init__(self, shard: Shard, dimensions: int) -> None:
        self._shard = shard
        self._dimensions = dimensions
        self.pending_range_fields: set[str] = set()
        self.reload_range_fields()

    def stage(self, document: Document, chunks: Sequence[VectorChunk]) -> None:
        """Store chunks of a version; those that are already published are left unchanged."""
        if any(len(chunk.dense) != self._dimensions * _FLOAT_BYTES for chunk in chunks):
            raise EmbeddingMismatch(f"this index holds vectors of {self._dimensions} dimensions")
        self._index_ranges(document)
        for first in range(0, len(chunks), _BATCH):
            self._stage(document, chunks[first : first + _BATCH])

    def publish(self, document: Document) -> Published:
        """Publish a version. Raises DocumentConflict if another call removed chunks of it meanwhile."""
        former = self._record(document.key)
        if former and self._is_unchanged(former, document):
            return Published(former, Outcome.UNCHANGED)
        if self._count(document) < document.passage_count:
            raise DocumentConflict(
                "chunks of this version are missing: another call changed the document concurrently"
            )
        self._publish(document)
        return Published(document, Outcome.REPLACED if former else Outcome.CREATED)

    def discard(self, document: Document) -> None:
        tenant = document.key.tenant
        excluded = [predicates.published(tenant, CHUNK), *predicates.non_chunk_points(tenant)]
        self._remove(
            predicates.of_document(document.key), predicates.of_version(document), must_not=excluded
        )

    def delete(self, key: DocumentKey) -> int | None:
        chunks = all_of(predicates.of_document(key), predicates.published(key.tenant, CHUNK))
        with self._shard.reading() as engine:
            records = engine.retrieve([key.point_id()], False, False)
            count = engine.count(edge.CountRequest(filter=chunks))
        self._remove(predicates.of_document(key))
        return count if records else None

    def recover(self) -> None:
        """Complete publications that a crash interrupted."""
        request = edge.ScrollRequest(
            limit=100, filter=all_of(predicates.PUBLISHING), with_payload=[DOCUMENT]
        )
        with self._shard.reading() as engine:
            markers, _ = engine.scroll(request)
        for marker in markers:
            self._publish(payload.document_from(marker.payload or {}))

    def reload_range_fields(self) -> None:
        """Read from the engine which fields have a range index."""
        self._ranges = self._shard.indexed_fields
        self.pending_range_fields -= self._ranges

    def _stage(self, document: Document, chunks: Sequence[VectorChunk]) -> None:
        ids = [document.key.point_id(document.version, one.chunk.ordinal) for one in chunks]
        published = self._published(ids)
        points = [
            point(point_id, _staged_payload(point_id, document, one), one)
            for point_id, one in zip(ids, chunks, strict=True)
            if point_id not in published
        ]
        if points:
            self._shard.write(upsert(points), points=len(points))

    def _published(self, ids: list[str]) -> set[str]:
        with self._shard.reading() as engine:
            records = engine.retrieve(list(ids), [SCOPE], False)
        return {str(record.id) for record in records if (record.payload or {}).get(SCOPE)}

    def _publish(self, document: Document) -> None:
        self._shard.write(*publishing(document))

    def _record(self, key: DocumentKey) -> Document | None:
        with self._shard.reading() as engine:
            records = engine.retrieve([key.point_id()], [DOCUMENT], False)
        return payload.document_from(records[0].payload or {}) if records else None

    def _is_unchanged(self, published: Document, document: Document) -> bool:
        """Whether this exact document is published with all of its chunks."""
        if published != replace(document, updated=published.updated):
            return False
        is_published = predicates.published(document.key.tenant, CHUNK)
        return self._count(published, is_published) >= published.passage_count

    def _count(self, document: Document, *must: predicates.FieldPredicate) -> int:
        version = [predicates.of_document(document.key), predicates.of_version(document)]
        chunks = all_of(*version, *must, must_not=predicates.non_chunk_points(document.key.tenant))
        with self._shard.reading() as engine:
            return engine.count(edge.CountRequest(filter=chunks))

    def _remove(
        self, *must: predicates.FieldPredicate, must_not: Sequence[predicates.FieldPredicate] = ()
    ) -> None:
        self._shard.write(delete_where(all_of(*must, must_not=must_not)))

    def _index_ranges(self, document: Document) -> None:
        """Create range indexes for the document's numbers and times, up to `_MAX_RANGES` fields.

        In a large index this would block for seconds: there it is left to the next graph build.
        """
        new = payload.range_fields(document) - self._ranges
        if new and self._shard.points >= _INDEX_RANGES_BELOW:
            self.pending_range_fields |= new
            return
        for field in sorted(new)[: max(0, _MAX_RANGES - len(self._ranges))]:
            self._shard.write(index_range(field))
            self._ranges.add(field)


def _staged_payload(point_id: str, document: Document, chunk: VectorChunk) -> payload.Payload:
    return {
        **payload.staged_payload(document, chunk.chunk),
        **sample_fields(point_id, document.key),
    }


def publishing(document: Document) -> list[Change]:
    """The changes that publish a version; the marker for `recover` is written first and removed last."""
    key, version = document.key, predicates.of_version(document)
    marker = point(key.point_id("publishing"), payload.publishing_payload(document))
    record = point(key.point_id(), payload.published_payload(document, DOCUMENT))
    chunks = all_of(
        predicates.of_document(key), version, must_not=predicates.non_chunk_points(key.tenant)
    )
    others = all_of(
        predicates.of_document(key), must_not=[version, *predicates.non_chunk_points(key.tenant)]
    )
    return [
        upsert([marker]),
        set_payload(chunks, payload.published_payload(document, CHUNK)),
        delete_where(others),
        upsert([record]),
        delete([key.point_id("publishing")]),
    ]
