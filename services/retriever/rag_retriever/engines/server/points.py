"""Reads and writes of a collection's points, and constructors of write operations."""

from collections.abc import AsyncIterator, Sequence
from functools import partial

from qdrant_client import AsyncQdrantClient, models
from qdrant_client.grpc import PointId

from rag_retriever.engines.payload import Payload
from rag_retriever.engines.server.metadata_point import new_state, state_operation
from rag_retriever.engines.server.nodes import Nodes
from rag_retriever.engines.server.requests import vectors
from rag_retriever.engines.server.revisions import DocumentRecord, record_from
from rag_retriever.index.model import DocumentKey, VectorChunk

_PAGE = 64


class Points:
    """One collection's points. `state` identifies the data as this process last wrote or read it."""

    def __init__(self, nodes: Nodes, collection: str, state: str) -> None:
        self._nodes = nodes
        self._collection = collection
        self.state = state

    async def write(self, *operations: models.UpdateOperation) -> None:
        """Apply these operations in order; durable on return.

        Not atomic: operations of other callers may run in between. MEDIUM ordering lets one replica
        serialise the writes of all callers (STRONG would reject writes while it is unavailable).
        """
        state = new_state()
        await self._nodes.write(
            lambda client: client.batch_update_points(
                self._collection,
                [*operations, state_operation(state)],
                wait=True,
                ordering=models.WriteOrdering.MEDIUM,
            )
        )
        self.state = state

    async def count(self, where: models.Filter) -> int:
        """The exact number of matching points."""
        result = await self._nodes.read(
            lambda client: client.count(self._collection, where, exact=True)
        )
        return result.count

    async def record(self, key: DocumentKey) -> DocumentRecord:
        """A document's record; one with revision 0 if the document never existed."""
        points = await self._nodes.read(
            lambda client: client.retrieve(self._collection, [key.point_id()], with_payload=True)
        )
        return record_from(points[0].payload or {}) if points else DocumentRecord(key)

    async def records(self, where: models.Filter) -> AsyncIterator[DocumentRecord]:
        """The matching documents' records, which may change or be removed during the iteration."""
        after: models.ExtendedPointId | PointId | None = None
        while True:
            page = partial(
                AsyncQdrantClient.scroll,
                collection_name=self._collection,
                scroll_filter=where,
                limit=_PAGE,
                offset=after,
                with_payload=True,
            )
            points, after = await self._nodes.read(page)
            for one in points:
                yield record_from(one.payload or {})
            if after is None:
                return


def point(point_id: str, payload: Payload, chunk: VectorChunk | None = None) -> models.PointStruct:
    return models.PointStruct(id=point_id, payload=payload, vector=vectors(chunk) if chunk else {})


def upsert(
    points: Sequence[models.PointStruct],
    where: models.Filter,
    mode: models.UpdateMode = models.UpdateMode.UPSERT,
) -> models.UpsertOperation:
    """Insert points; an existing one is replaced only if it matches `where` when the server writes it."""
    changes = models.PointsList(points=list(points), update_filter=where, update_mode=mode)
    return models.UpsertOperation(upsert=changes)


def payload_change(payload: Payload, where: models.Filter) -> models.SetPayloadOperation:
    """Set these payload fields on the points that match when the server writes them."""
    return models.SetPayloadOperation(set_payload=models.SetPayload(payload=payload, filter=where))


def deletion(where: models.Filter) -> models.DeleteOperation:
    """Remove the points that match when the server writes them."""
    return models.DeleteOperation(delete=models.FilterSelector(filter=where))
