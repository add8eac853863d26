"""Reads and writes of a collection's points, and constructors of write operations."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

from rag_retriever.engines.payload import Payload
from rag_retriever.engines.server.messages import pb
from rag_retriever.engines.server.metadata_point import new_state, state_operation
from rag_retriever.engines.server.nodes import Nodes
from rag_retriever.engines.server.requests import fields, set_vectors, vectors_named
from rag_retriever.engines.server.revisions import DocumentRecord, record_from
from rag_retriever.engines.server.values import from_values, set_values
from rag_retriever.index.model import DocumentKey, VectorChunk

_PAGE = 64
_ALL_FIELDS = pb.WithPayloadSelector(enable=True)
# One replica orders the writes of all callers; STRONG would reject writes while it is unavailable.
_ORDERING = pb.WriteOrdering(type=pb.WriteOrderingType.Medium)


class Points:
    """One collection's points. `state` identifies the data as this process last wrote or read it."""

    def __init__(self, nodes: Nodes, collection: str, state: str) -> None:
        self._nodes = nodes
        self._collection = collection
        self.state = state

    async def write(self, *operations: pb.PointsUpdateOperation) -> None:
        """Apply these operations in order and change the state; durable on return.

        Not atomic: operations of other callers may run in between.
        """
        state = new_state()
        await self.prepare(*operations, state_operation(state))
        self.state = state

    async def prepare(self, *operations: pb.PointsUpdateOperation) -> None:
        """As `write`, for operations that change nothing that a search can find."""
        request = pb.UpdateBatchPoints(
            collection_name=self._collection, operations=operations, wait=True, ordering=_ORDERING
        )
        await self._nodes.write(lambda client: client.grpc_points.UpdateBatch(request))

    async def query(self, requests: Sequence[pb.QueryPoints]) -> list[Sequence[pb.ScoredPoint]]:
        """The points that each of these queries finds, in one round trip."""
        batch = pb.QueryBatchPoints(collection_name=self._collection, query_points=requests)
        response = await self._nodes.read(lambda client: client.grpc_points.QueryBatch(batch))
        return [one.result for one in response.result]

    async def get(self, ids: Sequence[str], payload: Sequence[str]) -> list[pb.RetrievedPoint]:
        """The points with these ids and these fields of their payloads, in any order."""
        return await self._get(ids, fields(payload))

    async def matching(
        self, where: pb.Filter, limit: int, payload: Sequence[str] = (), vector: str = ""
    ) -> list[pb.RetrievedPoint]:
        """Up to `limit` matching points with these fields of their payloads and this vector."""
        request = pb.ScrollPoints(
            collection_name=self._collection,
            filter=where,
            limit=limit,
            with_payload=fields(payload),
            with_vectors=vectors_named(*([vector] if vector else [])),
        )
        return list((await self._scroll(request)).result)

    async def count(self, where: pb.Filter, *, exact: bool = True) -> int:
        """The number of matching points; otherwise than `exact`, what the payload indexes estimate."""
        request = pb.CountPoints(collection_name=self._collection, filter=where, exact=exact)
        response = await self._nodes.read(lambda client: client.grpc_points.Count(request))
        return int(response.result.count)

    async def record(self, key: DocumentKey) -> DocumentRecord:
        """A document's record; one with revision 0 if the document never existed."""
        points = await self._get([key.point_id()], _ALL_FIELDS)
        return record_from(from_values(points[0].payload)) if points else DocumentRecord(key)

    async def records(self, where: pb.Filter) -> AsyncIterator[DocumentRecord]:
        """The matching documents' records, which may change or be removed during the iteration."""
        after: pb.PointId | None = None
        while True:
            request = pb.ScrollPoints(
                collection_name=self._collection,
                filter=where,
                limit=_PAGE,
                offset=after,
                with_payload=_ALL_FIELDS,
            )
            page = await self._scroll(request)
            for one in page.result:
                yield record_from(from_values(one.payload))
            if not page.HasField("next_page_offset"):
                return
            after = page.next_page_offset

    async def _scroll(self, request: pb.ScrollPoints) -> pb.ScrollResponse:
        response: pb.ScrollResponse = await self._nodes.read(
            lambda client: client.grpc_points.Scroll(request)
        )
        return response

    async def _get(
        self, ids: Sequence[str], payload: pb.WithPayloadSelector
    ) -> list[pb.RetrievedPoint]:
        request = pb.GetPoints(
            collection_name=self._collection,
            ids=[pb.PointId(uuid=one) for one in ids],
            with_payload=payload,
        )
        response = await self._nodes.read(lambda client: client.grpc_points.Get(request))
        return list(response.result)


@dataclass(frozen=True, slots=True)
class NewPoint:
    """A point to be written: a chunk, or without vectors if `chunk` is None."""

    id: str
    payload: Payload
    chunk: VectorChunk | None = None


def upsert(
    points: Iterable[NewPoint],
    where: pb.Filter,
    mode: pb.UpdateMode.ValueType = pb.UpdateMode.Upsert,
) -> pb.PointsUpdateOperation:
    """Insert points; an existing one is replaced only if it matches `where` when the server writes it."""
    operation = pb.PointsUpdateOperation()
    operation.upsert.update_filter.CopyFrom(where)
    operation.upsert.update_mode = mode
    for one in points:
        point = operation.upsert.points.add()
        point.id.uuid = one.id
        set_values(point.payload, one.payload)
        named = point.vectors.vectors
        named.SetInParent()
        if one.chunk:
            set_vectors(named, one.chunk)
    return operation


def payload_change(payload: Payload, where: pb.Filter) -> pb.PointsUpdateOperation:
    """Set these payload fields on the points that match when the server writes them."""
    operation = pb.PointsUpdateOperation()
    set_values(operation.set_payload.payload, payload)
    operation.set_payload.points_selector.filter.CopyFrom(where)
    return operation


def deletion(where: pb.Filter) -> pb.PointsUpdateOperation:
    """Remove the points that match when the server writes them."""
    operation = pb.PointsUpdateOperation()
    operation.delete_points.points.filter.CopyFrom(where)
    return operation
