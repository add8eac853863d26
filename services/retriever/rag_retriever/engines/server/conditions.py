"""Filters for the points of one document that a change affects; the server evaluates them as it writes.

A chunk's `revision` is the document's revision at which it was staged, or the revision that its caller
is about to publish or has published. It never decreases while the chunk exists.
"""

from qdrant_client import models

from rag_retriever.engines import predicates
from rag_retriever.engines.payload import CHUNK, VERSION
from rag_retriever.engines.server.requests import condition
from rag_retriever.engines.server.revisions import REVISION
from rag_retriever.index.model import Document, DocumentKey


def at_revision(revision: int) -> models.Filter:
    """A record of exactly this revision; 0 means that there is no record yet."""
    if revision == 0:
        return models.Filter(must_not=[_revision_at_least(1)])
    return models.Filter(must=[_revision_equals(revision)])


def unsettled_at(revision: int) -> models.Filter:
    """A record of this revision whose change is not settled yet."""
    return models.Filter(must=[_revision_equals(revision), condition(predicates.PUBLISHING)])


def restageable(tenant: str, revision: int) -> models.Filter:
    """A staged chunk that may be overwritten: not published and not claimed by a later change."""
    return models.Filter(must_not=[_published(tenant), _revision_at_least(revision + 1)])


def unclaimed(document: Document, revision: int) -> models.Filter:
    """Chunks of this version with an earlier revision."""
    return _chunks(document, must_not=[_revision_at_least(revision)])


def claimed_for(document: Document, revision: int) -> models.Filter:
    """Chunks of this version that this revision publishes."""
    return _chunks(document, must=[_revision_equals(revision)])


def claimed_since(document: Document, revision: int) -> models.Filter:
    """Chunks of this version that this revision or a later one publishes."""
    return _chunks(document, must=[_revision_at_least(revision)])


def published_chunks(document: Document) -> models.Filter:
    """Published chunks of this version."""
    return _chunks(document, must=[_published(document.key.tenant)])


def staged_chunks(document: Document, revision: int) -> models.Filter:
    """Unpublished chunks of this version that no change after this revision claims."""
    return _chunks(
        document, must_not=[_published(document.key.tenant), _revision_at_least(revision + 1)]
    )


def chunks_of(key: DocumentKey) -> models.Filter:
    """All points of this document except its record: chunks of any version, published or not."""
    record = models.HasIdCondition(has_id=[key.point_id()])
    return models.Filter(must=[condition(predicates.of_document(key))], must_not=[record])


def superseded(key: DocumentKey, revision: int, version: str | None) -> models.Filter:
    """Chunks that are obsolete after this revision, which publishes `version` (None: a removal).

    These are all chunks of earlier revisions, and published chunks of other versions up to this
    revision.
    """
    others: list[models.Condition] = [_revision_at_least(revision + 1)]
    if version is not None:
        others.append(_version(version))
    return models.Filter(
        must=[condition(predicates.of_document(key))],
        must_not=[models.HasIdCondition(has_id=[key.point_id()])],
        should=[
            models.Filter(must_not=[_revision_at_least(revision)]),
            models.Filter(must=[_published(key.tenant)], must_not=others),
        ],
    )


def _chunks(
    document: Document,
    must: list[models.FieldCondition] | None = None,
    must_not: list[models.FieldCondition] | None = None,
) -> models.Filter:
    of_document = [condition(predicates.of_document(document.key)), _version(document.version)]
    record = models.HasIdCondition(has_id=[document.key.point_id()])
    return models.Filter(must=[*of_document, *(must or [])], must_not=[record, *(must_not or [])])


def _published(tenant: str) -> models.FieldCondition:
    return condition(predicates.published(tenant, CHUNK))


def _version(version: str) -> models.FieldCondition:
    return condition(predicates.AnyOf(VERSION, [version]))


def _revision_equals(revision: int) -> models.FieldCondition:
    return models.FieldCondition(key=REVISION, range=models.Range(gte=revision, lte=revision))


def _revision_at_least(revision: int) -> models.FieldCondition:
    """This revision or a later one; never matches points of older releases, which have no revision."""
    return models.FieldCondition(key=REVISION, range=models.Range(gte=revision))
