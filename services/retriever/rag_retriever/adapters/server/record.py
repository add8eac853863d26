"""The point of a collection that says what the index is for, and which state its data is in.

The state changes with every write of every replica, and every search reads it along: so `version`
tells caches of what other replicas wrote.
"""

import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from qdrant_client import AsyncQdrantClient, models

from rag_retriever.adapters.payload import SCOPE, Payload
from rag_retriever.adapters.server.requests import translated
from rag_retriever.ports import IndexSpec

RECORD_ID = str(uuid.UUID(int=0))
_STATE = "state"
_INDEX = "index"
_CREATED = "created"


@dataclass(frozen=True, slots=True)
class Record:
    """What the point says."""

    spec: IndexSpec
    created: datetime
    state: str


async def write_record(client: AsyncQdrantClient, collection: str, spec: IndexSpec) -> None:
    """Say what the index is for; the last step of making it."""
    payload = {
        SCOPE: ["record"],
        _INDEX: asdict(spec),
        _CREATED: datetime.now(UTC).isoformat(),
        _STATE: new_state(),
    }
    point = models.PointStruct(id=RECORD_ID, vector={}, payload=payload)
    with translated():
        await client.upsert(collection, [point], wait=True)


async def read_record(client: AsyncQdrantClient, collection: str) -> Record | None:
    """None for a collection that is no index, or none yet."""
    with translated():
        points = await client.retrieve(collection, [RECORD_ID], with_payload=True)
    return record_from(points[0].payload or {}) if points else None


def record_from(payload: Payload) -> Record:
    created = datetime.fromisoformat(payload[_CREATED])
    return Record(IndexSpec(**payload[_INDEX]), created, payload[_STATE])


def state_request() -> models.QueryRequest:
    """Reads the state along with other queries."""
    only = models.Filter(must=[models.HasIdCondition(has_id=[RECORD_ID])])
    return models.QueryRequest(filter=only, limit=1, with_payload=[_STATE])


def state_from(response: models.QueryResponse, before: str) -> str:
    points = response.points
    return str((points[0].payload or {}).get(_STATE, before)) if points else before


def state_operation(state: str) -> models.SetPayloadOperation:
    """Notes a write; goes with it in one request."""
    change = models.SetPayload(payload={_STATE: state}, points=[RECORD_ID])
    return models.SetPayloadOperation(set_payload=change)


def new_state() -> str:
    return uuid.uuid4().hex[:16]
