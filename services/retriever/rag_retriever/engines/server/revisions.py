"""A document's record on the server: the published version, and the change in progress, if any.

A document has one record, a point whose id derives from the document's key. Its `revision` counts the
document's changes. A change is decided by one conditional write of this point, from revision n to
n + 1, so that of two callers that start from n one succeeds. docs/decisions/0011 describes the protocol.
"""

import time
from dataclasses import dataclass

from rag_retriever.engines.payload import (
    DOCUMENT,
    OWNER,
    PUBLISHING_SCOPE,
    SCOPE,
    Payload,
    document_from,
    published_payload,
)
from rag_retriever.engines.predicates import kind_of
from rag_retriever.index.model import Document, DocumentKey

REVISION = "revision"
SINCE = "since"
DELETED_SCOPE = "deleted"
_WRITER = "writer"
_PENDING = "pending"
_EARLIER = "earlier"
_KEY = "key"
# Enough to recognise a call that succeeded but was superseded before it could read the record.
_KEPT_WRITERS = 8


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """A document's record. `published` is the visible version, `pending` the one that will replace it.

    `settled` is False from the deciding write until its consequences are applied: the new chunks
    published, the old ones removed. `since` is the time of that write in seconds since 1970, `writer`
    identifies the call that made it, `earlier` the calls of the last revisions before.
    """

    key: DocumentKey
    revision: int = 0
    writer: str = ""
    earlier: tuple[str, ...] = ()
    published: Document | None = None
    pending: Document | None = None
    settled: bool = True
    since: float = 0.0

    @property
    def newest(self) -> Document | None:
        """The version that this revision publishes, None if it removes the document."""
        return self.pending if self.pending is not None else self.published

    def decided_by(self, writer: str) -> bool:
        """Whether this call decided this revision or one of the last before it."""
        return writer == self.writer or writer in self.earlier


def record_from(payload: Payload) -> DocumentRecord:
    """The record in a point's payload; records of older releases have revision 0."""
    scopes = payload[SCOPE]
    visible = any(kind_of(scope) == DOCUMENT for scope in scopes)
    pending = payload.get(_PENDING)
    key = DocumentKey(*payload[_KEY]) if _KEY in payload else document_from(payload).key
    return DocumentRecord(
        key=key,
        revision=payload.get(REVISION, 0),
        writer=payload.get(_WRITER, ""),
        earlier=tuple(payload.get(_EARLIER, ())),
        published=document_from(payload) if visible else None,
        pending=document_from(pending) if pending else None,
        settled=PUBLISHING_SCOPE not in scopes,
        since=payload.get(SINCE, 0.0),
    )


def replacement(former: DocumentRecord, document: Document, writer: str) -> Payload:
    """The record that decides to publish `document`; readers see the former version until it is visible."""
    decided = _next(former, writer)
    pending = {_PENDING: published_payload(document, DOCUMENT)}
    return _payload(decided, former.published, PUBLISHING_SCOPE) | pending


def removal(former: DocumentRecord, writer: str) -> Payload:
    """The record that decides to remove the document, which is no longer visible."""
    return _payload(_next(former, writer), None, PUBLISHING_SCOPE)


def visible_record(record: DocumentRecord) -> Payload:
    """The record after the new version's chunks are published and before the old ones are removed."""
    return _payload(record, record.newest, PUBLISHING_SCOPE)


def settled(record: DocumentRecord) -> Payload:
    """The record of a completed change; that of a removed document is retained for a while."""
    newest = record.newest
    return _payload(record, newest, *([] if newest else [DELETED_SCOPE]))


def _next(former: DocumentRecord, writer: str) -> DocumentRecord:
    earlier = (*former.earlier, former.writer)[-_KEPT_WRITERS:]
    return DocumentRecord(former.key, former.revision + 1, writer, earlier, since=time.time())


def _payload(record: DocumentRecord, visible: Document | None, *scopes: str) -> Payload:
    key = record.key
    payload = (
        published_payload(visible, DOCUMENT) if visible else {OWNER: key.point_id(), SCOPE: []}
    )
    return payload | {
        SCOPE: [*payload[SCOPE], *scopes],
        REVISION: record.revision,
        _WRITER: record.writer,
        _EARLIER: list(record.earlier),
        SINCE: record.since,
        _KEY: [key.tenant, key.collection, key.document_id],
    }
