"""The metadata point of a collection: the index's definition and the current state of its data.

The state changes with every write of every replica, and every search reads it too, so that `version`
reflects the writes of other replicas, for example to invalidate caches.
"""

import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from qdrant_client import models

from rag_retriever.engines.payload import SCOPE, Payload
from rag_retriever.engines.server.nodes import Nodes
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
    point = models.PointStruct(id=METADATA_POINT_ID, vector={}, payload=payload)
    await nodes.write(lambda client: client.upsert(collection, [point], wait=True))


async def read_metadata(nodes: Nodes, collection: str) -> IndexMetadata | None:
    """The metadata of a collection, None if it is not an index or not completely created."""
    points = await nodes.read(
        lambda client: client.retrieve(collection, [METADATA_POINT_ID], with_payload=True)
    )
    return metadata_from(points[0].payload or {}) if points else None


def metadata_from(payload: Payload) -> IndexMetadata:
    created = datetime.fromisoformat(payload[_CREATED])
    return IndexMetadata(IndexSpec(**payload[_INDEX]), created, payload[_STATE])


def state_request() -> models.QueryRequest:
    """A query for the state, to be sent in a batch with other queries."""
    only = models.Filter(must=[models.HasIdCondition(has_id=[METADATA_POINT_ID])])
    return models.QueryRequest(filter=only, limit=1, with_payload=[_STATE])


def state_from(response: models.QueryResponse, before: str) -> str:
    points = response.points
    return str((points[0].payload or {}).get(_STATE, before)) if points else before


def state_operation(state: str) -> models.SetPayloadOperation:
    """An operation that changes the state; sent in the same request as a write."""
    change = models.SetPayload(payload={_STATE: state}, points=[METADATA_POINT_ID])
    return models.SetPayloadOperation(set_payload=change)


def new_state() -> str:
    return uuid.uuid4().hex[:16]
