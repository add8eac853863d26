"""Applies a decided change of a document: by its caller, or by any process after a crash."""

import time

import structlog

from rag_retriever.engines import predicates
from rag_retriever.engines.payload import CHUNK, SCOPE, Payload, published_payload
from rag_retriever.engines.predicates import AnyOf
from rag_retriever.engines.server import conditions, revisions
from rag_retriever.engines.server.messages import pb
from rag_retriever.engines.server.points import NewPoint, Points, deletion, payload_change, upsert
from rag_retriever.engines.server.requests import all_of, condition, has_id, in_range
from rag_retriever.engines.server.revisions import DELETED_SCOPE, SINCE, DocumentRecord
from rag_retriever.index.model import Document

log = structlog.get_logger()


async def settle(points: Points, record: DocumentRecord) -> None:
    """Publish the new version, then remove superseded chunks; does nothing if the record is settled.

    In this order, a reader always finds one version or both, and a listed document has its passages.
    """
    if record.settled:
        return
    key, revision, newest = record.key, record.revision, record.newest
    shown = [] if newest is None else _showing(record, newest)
    version = newest.version if newest else None
    await points.write(
        *shown,
        deletion(conditions.superseded(key, revision, version)),
        _record_change(record, revisions.settled(record)),
    )


async def tidy(points: Points, abandoned_seconds: float, retention_seconds: float) -> None:
    """Finish abandoned changes and remove obsolete records and staged chunks.

    A change older than `abandoned_seconds`, longer than its caller needs for it, counts as abandoned.
    Records of removed documents and unpublished staged chunks are retained for `retention_seconds`,
    longer than any call lasts. A record is retained longer while chunks of its document exist, so
    that the document never reaches the revision of one of them again.
    """
    now = time.time()
    async for record in points.records(all_of(predicates.PUBLISHING)):
        if record.since < now - abandoned_seconds:
            log.info("document_change_finished", revision=record.revision)
            await settle(points, record)
    old = in_range(SINCE, pb.Range(lt=now - retention_seconds))
    no_scope = pb.Condition(is_empty=pb.IsEmptyCondition(key=SCOPE))
    staged = pb.Filter(must=[no_scope, old])
    if await points.count(staged):
        await points.write(deletion(staged))
    removed = [condition(AnyOf(SCOPE, [DELETED_SCOPE])), old]
    async for record in points.records(pb.Filter(must=removed)):
        if not await points.count(conditions.chunks_of(record.key)):
            only = has_id([record.key.point_id()])
            await points.write(deletion(pb.Filter(must=[only, *removed])))


def _showing(record: DocumentRecord, newest: Document) -> list[pb.PointsUpdateOperation]:
    claimed = conditions.claimed_for(newest, record.revision)
    return [
        payload_change(published_payload(newest, CHUNK), claimed),
        _record_change(record, revisions.visible_record(record)),
    ]


def _record_change(record: DocumentRecord, payload: Payload) -> pb.PointsUpdateOperation:
    changed = [NewPoint(record.key.point_id(), payload)]
    where = conditions.unsettled_at(record.revision)
    return upsert(changed, where, pb.UpdateMode.UpdateOnly)
