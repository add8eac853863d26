"""The metadata point of a collection: the index's definition and the current state of its data.

The state changes with every write of every replica, and every search reads it too, so that `version`
reflects the writes of other replicas, for example to invalidate caches.
"""

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from rag_retriever.engines.payload import SCOPE, Payload
from rag_retriever.engines.server.messages import pb
from rag_retriever.engines.server.nodes import Nodes
from rag_retriever.engines.server.requests import fields, has_id
from rag_retriever.engines.server.values import from_values, set_values
from rag_retriever.index.ports import IndexSpec

METADATA_POINT_ID = str(uuid.UUID(int=0))
METADATA_SCOPE = "record"
_STATE = "state"
_INDEX = "index"
_CREATED = "created"


@dataclass(frozen=True, slots=True)
class IndexMetadata:
    """The content of the metadata point."""

    spec: IndexSpec
    created: datetime
    state: str


async def write_metadata(nodes: Nodes, collection: str, spec: IndexSpec) -> None:
    """Write the metadata point; the last step of creating an index."""
    payload = {
        SCOPE: [METADATA_SCOPE],
        _INDEX: asdict(spec),
        _CREATED: datetime.now(UTC).isoformat(),
        _STATE: new_state(),
    }
    request = pb.UpsertPoints(collection_name=collection, wait=True)
    point = request.points.add(id=pb.PointId(uuid=METADATA_POINT_ID))
    point.vectors.vectors.SetInParent()
    set_values(point.payload, payload)
    await nodes.write(lambda client: client.grpc_points.Upsert(request))


async def read_metadata(nodes: Nodes, collection: str) -> IndexMetadata | None:
    """The metadata of a collection, None if it is not an index or not completely created."""
    request = pb.GetPoints(
        collection_name=collection,
        ids=[pb.PointId(uuid=METADATA_POINT_ID)],
        with_payload=pb.WithPayloadSelector(enable=True),
    )
    points = (await nodes.read(lambda client: client.grpc_points.Get(request))).result
    return metadata_from(from_values(points[0].payload)) if points else None


def metadata_from(payload: Payload) -> IndexMetadata:
    created = datetime.fromisoformat(payload[_CREATED])
    return IndexMetadata(IndexSpec(**payload[_INDEX]), created, payload[_STATE])


def state_request(collection: str) -> pb.QueryPoints:
    """A query for the state, to be sent in a batch with other queries."""
    return pb.QueryPoints(
        collection_name=collection,
        filter=pb.Filter(must=[has_id([METADATA_POINT_ID])]),
        limit=1,
        with_payload=fields([_STATE]),
    )


def state_from(points: Sequence[pb.ScoredPoint], before: str) -> str:
    """The state in the response to `state_request`, `before` if there is none."""
    return (points and points[0].payload[_STATE].string_value) or before


def state_operation(state: str) -> pb.PointsUpdateOperation:
    """An operation that changes the state; sent in the same request as a write."""
    operation = pb.PointsUpdateOperation()
    set_values(operation.set_payload.payload, {_STATE: state})
    operation.set_payload.points_selector.points.ids.add().uuid = METADATA_POINT_ID
    return operation


def new_state() -> str:
    return uuid.uuid4().hex[:16]
