"""Filters for the points of one document that a change affects; the server evaluates them as it writes.

A chunk's `revision` is the document's revision at which it was staged, or the revision that its caller
is about to publish or has published. It never decreases while the chunk exists.
"""

from rag_retriever.engines import predicates
from rag_retriever.engines.payload import CHUNK, VERSION
from rag_retriever.engines.server.messages import pb
from rag_retriever.engines.server.requests import condition, has_id, in_range
from rag_retriever.engines.server.revisions import REVISION
from rag_retriever.index.model import Document, DocumentKey


def at_revision(revision: int) -> pb.Filter:
    """A record of exactly this revision; 0 means that there is no record yet."""
    if revision == 0:
        return pb.Filter(must_not=[_revision_at_least(1)])
    return pb.Filter(must=[_revision_equals(revision)])


def unsettled_at(revision: int) -> pb.Filter:
    """A record of this revision whose change is not settled yet."""
    return pb.Filter(must=[_revision_equals(revision), condition(predicates.PUBLISHING)])


def restageable(tenant: str, revision: int) -> pb.Filter:
    """A staged chunk that may be overwritten: not published and not claimed by a later change."""
    return pb.Filter(must_not=[_published(tenant), _revision_at_least(revision + 1)])


def unclaimed(document: Document, revision: int) -> pb.Filter:
    """Chunks of this version with an earlier revision."""
    return _chunks(document, must_not=[_revision_at_least(revision)])


def claimed_for(document: Document, revision: int) -> pb.Filter:
    """Chunks of this version that this revision publishes."""
    return _chunks(document, must=[_revision_equals(revision)])


def claimed_since(document: Document, revision: int) -> pb.Filter:
    """Chunks of this version that this revision or a later one publishes."""
    return _chunks(document, must=[_revision_at_least(revision)])


def published_chunks(document: Document) -> pb.Filter:
    """Published chunks of this version."""
    return _chunks(document, must=[_published(document.key.tenant)])


def staged_chunks(document: Document, revision: int) -> pb.Filter:
    """Unpublished chunks of this version that no change after this revision claims."""
    return _chunks(
        document, must_not=[_published(document.key.tenant), _revision_at_least(revision + 1)]
    )


def chunks_of(key: DocumentKey) -> pb.Filter:
    """All points of this document except its record: chunks of any version, published or not."""
    record = has_id([key.point_id()])
    return pb.Filter(must=[condition(predicates.of_document(key))], must_not=[record])


def superseded(key: DocumentKey, revision: int, version: str | None) -> pb.Filter:
    """Chunks that are obsolete after this revision, which publishes `version` (None: a removal).

    These are all chunks of earlier revisions, and published chunks of other versions up to this
    revision.
    """
    others: list[pb.Condition] = [_revision_at_least(revision + 1)]
    if version is not None:
        others.append(_version(version))
    return pb.Filter(
        must=[condition(predicates.of_document(key))],
        must_not=[has_id([key.point_id()])],
        should=[
            _nested(pb.Filter(must_not=[_revision_at_least(revision)])),
            _nested(pb.Filter(must=[_published(key.tenant)], must_not=others)),
        ],
    )


def _chunks(
    document: Document,
    must: list[pb.Condition] | None = None,
    must_not: list[pb.Condition] | None = None,
) -> pb.Filter:
    of_document = [condition(predicates.of_document(document.key)), _version(document.version)]
    record = has_id([document.key.point_id()])
    return pb.Filter(must=[*of_document, *(must or [])], must_not=[record, *(must_not or [])])


def _nested(inner: pb.Filter) -> pb.Condition:
    return pb.Condition(filter=inner)


def _published(tenant: str) -> pb.Condition:
    return condition(predicates.published(tenant, CHUNK))


def _version(version: str) -> pb.Condition:
    return condition(predicates.AnyOf(VERSION, [version]))


def _revision_equals(revision: int) -> pb.Condition:
    return in_range(REVISION, pb.Range(gte=revision, lte=revision))


def _revision_at_least(revision: int) -> pb.Condition:
    """This revision or a later one; never matches points of older releases, which have no revision."""
    return in_range(REVISION, pb.Range(gte=revision))
