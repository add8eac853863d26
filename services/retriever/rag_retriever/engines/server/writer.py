"""Changes to documents on a server, each decided by one conditional write of the document's record.

The server may run the steps of two callers in any order, so each step is idempotent and safe at any
time: it affects only points of its own revision or of earlier ones. docs/decisions/0011 describes the
protocol.
"""

import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace

from rag_contract.errors import DependencyDown, DocumentConflict, EmbeddingMismatch, Unavailable
from rag_retriever.engines.payload import SCOPE, Payload, range_fields, staged_payload
from rag_retriever.engines.server import conditions, revisions
from rag_retriever.engines.server.collection import info
from rag_retriever.engines.server.messages import pb
from rag_retriever.engines.server.nodes import Nodes
from rag_retriever.engines.server.points import NewPoint, Points, deletion, payload_change, upsert
from rag_retriever.engines.server.revisions import REVISION, DocumentRecord
from rag_retriever.engines.server.settlement import settle
from rag_retriever.index.model import Document, DocumentKey, VectorChunk
from rag_retriever.index.ports import Outcome, Published

_FLOAT_BYTES = 4
_BATCH = 128
_MAX_RANGES = 64
# A replica may lag behind a write that another replica has acknowledged.
_READS = 5
_READ_PAUSE_SECONDS = 0.05
_RETRY_SECONDS = 1.0


class Writer:
    """Stages, publishes and removes documents."""

    def __init__(self, nodes: Nodes, collection: str, dimensions: int, points: Points) -> None:
        self._nodes = nodes
        self._collection = collection
        self._dimensions = dimensions
        self._points = points
        self._ranges: set[str] | None = None

    async def stage(self, document: Document, chunks: Sequence[VectorChunk]) -> None:
        """Store chunks of a version; those that are published or about to be are left unchanged."""
        if any(len(chunk.dense) != self._dimensions * _FLOAT_BYTES for chunk in chunks):
            raise EmbeddingMismatch(f"this index holds vectors of {self._dimensions} dimensions")
        await self._index_ranges(document)
        for first in range(0, len(chunks), _BATCH):
            record = await self._settled(document.key)
            await self._stage(document, chunks[first : first + _BATCH], record.revision)

    async def publish(self, document: Document) -> Published:
        """Publish a version.

        Raises DocumentConflict if another call published another version or removed the document.
        """
        former = await self._settled(document.key)
        if former.published and await self._is_unchanged(former.published, document):
            return Published(former.published, Outcome.UNCHANGED)
        await self._claim(document, former)
        writer = _new_writer()
        record = await self._decide(former, revisions.replacement(former, document, writer))
        won = record.decided_by(writer)
        if not won and not _is_version(record.newest, document):
            raise DocumentConflict("another call changed this document concurrently")
        await settle(self._points, record)
        if not won:
            return Published(record.newest or document, Outcome.UNCHANGED)
        return Published(document, Outcome.REPLACED if former.published else Outcome.CREATED)

    async def discard(self, document: Document) -> None:
        """Remove staged chunks, except those claimed for the next revision, possibly by another call."""
        record = await self._points.record(document.key)
        if not any(_is_version(one, document) for one in (record.published, record.pending)):
            await self._points.write(deletion(conditions.staged_chunks(document, record.revision)))

    async def delete(self, key: DocumentKey) -> int | None:
        """Remove a document. Raises DocumentConflict if another call published a version meanwhile."""
        former = await self._settled(key)
        if former.published is None:
            return None
        count = await self._points.count(conditions.published_chunks(former.published))
        writer = _new_writer()
        record = await self._decide(former, revisions.removal(former, writer))
        won = record.decided_by(writer)
        if not won and record.newest is not None:
            raise DocumentConflict("another call changed this document concurrently")
        await settle(self._points, record)
        return count if won else None

    async def _settled(self, key: DocumentKey) -> DocumentRecord:
        """The document's record, after finishing a change that another call left unfinished."""
        record = await self._points.record(key)
        for _ in range(_READS):
            if record.settled:
                return record
            await settle(self._points, record)
            record = await self._points.record(key)
        raise DocumentConflict("other calls keep changing this document")

    async def _stage(
        self, document: Document, chunks: Sequence[VectorChunk], revision: int
    ) -> None:
        facts: Payload = {REVISION: revision, revisions.SINCE: time.time()}
        points = [
            NewPoint(
                document.key.point_id(document.version, one.chunk.ordinal),
                staged_payload(document, one.chunk) | facts,
                one,
            )
            for one in chunks
        ]
        may_replace = conditions.restageable(document.key.tenant, revision)
        await self._points.prepare(upsert(points, may_replace))

    async def _is_unchanged(self, published: Document, document: Document) -> bool:
        """Whether this exact document is published with all of its chunks."""
        if published != replace(document, updated=published.updated):
            return False
        chunks = conditions.published_chunks(published)
        return await self._points.count(chunks) >= published.passage_count

    async def _claim(self, document: Document, former: DocumentRecord) -> None:
        """Claim this version's chunks for the next revision, so that no other change removes them.

        Raises DocumentConflict if another call removed or claimed chunks meanwhile, and DependencyDown
        if all chunks exist but some have a revision that the document has not reached.
        """
        revision = former.revision + 1
        now = time.time()
        change: Payload = {REVISION: revision, revisions.SINCE: now}
        if not _is_version(former.published, document):
            # Hide chunks that an earlier publication of this version left.
            change[SCOPE] = []
        unclaimed = conditions.unclaimed(document, revision)
        claimed = conditions.claimed_for(document, revision)
        # Renews the age of chunks that a dead call claimed, which would otherwise be removed as too old.
        renewed = payload_change({revisions.SINCE: now}, claimed)
        await self._points.prepare(renewed, payload_change(change, unclaimed))
        if await self._points.count(claimed) >= document.passage_count:
            return
        present = await self._points.count(conditions.claimed_since(document, revision))
        record = await self._points.record(document.key)
        if present < document.passage_count or record.revision != former.revision:
            raise DocumentConflict(
                "chunks of this version are missing: another call changed the document concurrently"
            )
        raise DependencyDown(
            "the vector engine holds chunks of this version that cannot be published yet",
            retry_after=_RETRY_SECONDS,
        )

    async def _decide(self, former: DocumentRecord, decision: Payload) -> DocumentRecord:
        """Write the record if `former` is still the latest; returns the then current record.

        Raises Unavailable if the outcome is unknown: the write may have been or still be applied.
        """
        failure: Unavailable = DependencyDown(
            "the vector engine did not report whether the document was changed"
        )
        try:
            points = [NewPoint(former.key.point_id(), decision)]
            await self._points.write(upsert(points, conditions.at_revision(former.revision)))
        except Unavailable as error:
            failure = error
        for _ in range(_READS):
            record = await self._points.record(former.key)
            if record.revision > former.revision:
                return record
            await asyncio.sleep(_READ_PAUSE_SECONDS)
        raise failure

    async def _index_ranges(self, document: Document) -> None:
        """Create range indexes for the document's numbers and times, up to `_MAX_RANGES` fields."""
        fields = range_fields(document)
        if not fields:
            return
        if self._ranges is None:
            self._ranges = set((await info(self._nodes, self._collection)).payload_schema)
        for field in sorted(fields - self._ranges)[: max(0, _MAX_RANGES - len(self._ranges))]:
            await self._add_range(field)
            self._ranges.add(field)

    async def _add_range(self, field: str) -> None:
        request = pb.CreateFieldIndexCollection(
            collection_name=self._collection,
            wait=False,
            field_name=field,
            field_type=pb.FieldType.FieldTypeFloat,
        )
        await self._nodes.write(lambda client: client.grpc_points.CreateFieldIndex(request))


def _is_version(candidate: Document | None, document: Document) -> bool:
    return candidate is not None and candidate.version == document.version


def _new_writer() -> str:
    """An id that distinguishes this call's write of a record from another's at the same revision."""
    return uuid.uuid4().hex[:16]
