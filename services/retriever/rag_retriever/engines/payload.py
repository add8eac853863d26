"""Converts documents and chunks to point payloads and back, for both engines.

A chunk's `scope` field is empty until it is published, and every read filters by scope, so staged
chunks are never visible. The fields `facts`, `numbers` and `times` repeat the metadata in a form that
payload indexes support.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from rag_contract.errors import FilterInvalid
from rag_retriever.index.model import (
    Chunk,
    Document,
    DocumentKey,
    Location,
    MetadataValue,
    Passage,
    ReadingWarning,
)

Payload: TypeAlias = dict[str, Any]

DENSE = "dense"
SPARSE = "sparse"
CHUNK = "chunk"
DOCUMENT = "document"
SCOPE = "scope"
OWNER = "owner"
VERSION = "version"
METADATA_KEYWORDS = "facts"
NUMBERS = "numbers"
TIMES = "times"
SAMPLE = "sample"
KEYWORD_FIELDS = (OWNER, VERSION, METADATA_KEYWORDS)
PUBLISHING_SCOPE = "publishing"
PASSAGE_FIELDS = (DOCUMENT, CHUNK)

_POINT_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_]+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def staged_payload(document: Document, chunk: Chunk) -> Payload:
    """The payload of a staged chunk: with an empty scope, and without what publishing sets anyway."""
    return {
        OWNER: document.key.point_id(),
        VERSION: document.version,
        SCOPE: [],
        CHUNK: _chunk_payload(chunk),
    }


def published_payload(document: Document, kind: str) -> Payload:
    """The fields that publishing sets on chunks, and the complete payload of a document's record."""
    key = document.key
    scope = [scope_token(kind, key.tenant), scope_token(kind, key.tenant, key.collection)]
    return {**_common(document), SCOPE: scope}


def publishing_payload(document: Document) -> Payload:
    """The payload of the marker that a version is being published, for recovery after a crash."""
    return {**_common(document), SCOPE: [PUBLISHING_SCOPE]}


def is_point_id(text: str) -> bool:
    """Whether this is a point id in canonical form; UUID() also accepts other notations."""
    return _POINT_ID.fullmatch(text) is not None


def passage_from(passage_id: str, payload: Payload) -> Passage:
    """The passage in a chunk's payload."""
    return Passage(passage_id, document_from(payload), chunk_from(payload))


def chunk_from(payload: Payload) -> Chunk:
    """The chunk in a chunk's payload."""
    fields = payload[CHUNK]
    return Chunk(
        fields["ordinal"],
        fields["text"],
        fields["start"],
        fields["end"],
        fields["start_byte"],
        fields["end_byte"],
        tuple(fields["headings"]),
        fields["page"],
        _location(fields.get("location")),
    )


def document_from(payload: Payload) -> Document:
    """The document in a chunk's or a document record's payload."""
    fields = payload[DOCUMENT]
    return Document(
        DocumentKey(fields["tenant"], fields["collection"], fields["document_id"]),
        fields["version"],
        fields["title"],
        fields["uri"],
        fields["media_type"],
        fields["metadata"],
        fields["passage_count"],
        fields["character_count"],
        datetime.fromisoformat(fields["updated"]),
        tuple(
            ReadingWarning(reason, english, korean, tuple(pages))
            for reason, english, korean, pages in fields.get("warnings", ())
        ),
    )


def range_fields(document: Document) -> set[str]:
    """The payload paths of this document's numbers and times, each of which needs a range index."""
    numbers, times = _ranges(document.metadata)
    return {field_path(NUMBERS, key) for key in numbers} | {field_path(TIMES, key) for key in times}


def _common(document: Document) -> Payload:
    numbers, times = _ranges(document.metadata)
    return {
        OWNER: document.key.point_id(),
        VERSION: document.version,
        METADATA_KEYWORDS: list(_metadata_keywords(document)),
        NUMBERS: numbers,
        TIMES: times,
        DOCUMENT: _document_payload(document),
    }


def _chunk_payload(chunk: Chunk) -> Payload:
    # dataclasses.asdict took longer than the rest of storing a chunk.
    payload = {
        "ordinal": chunk.ordinal,
        "text": chunk.text,
        "start": chunk.start,
        "end": chunk.end,
        "start_byte": chunk.start_byte,
        "end_byte": chunk.end_byte,
        "headings": list(chunk.headings),
        "page": chunk.page,
    }
    if chunk.location:
        place = chunk.location
        payload["location"] = [place.sheet, place.first_row, place.last_row, place.attachment]
    return payload


def _location(fields: Sequence[Any] | None) -> Location | None:
    if not fields:
        return None
    sheet, first, last, attachment = fields
    return Location(sheet, first, last, attachment)


def _document_payload(document: Document) -> Payload:
    payload: Payload = {
        "tenant": document.key.tenant,
        "collection": document.key.collection,
        "document_id": document.key.document_id,
        "version": document.version,
        "title": document.title,
        "uri": document.uri,
        "media_type": document.media_type,
        "metadata": dict(document.metadata),
        "passage_count": document.passage_count,
        "character_count": document.character_count,
        "updated": document.updated.isoformat(),
    }
    if document.warnings:
        payload["warnings"] = [
            [one.reason, one.description, one.description_ko, list(one.pages)]
            for one in document.warnings
        ]
    return payload


def _metadata_keywords(document: Document) -> Iterator[str]:
    yield metadata_keyword("document_id", document.key.document_id)
    for key, value in document.metadata.items():
        if key != "document_id":
            yield from (metadata_keyword(key, one) for one in _values(value))


def _ranges(
    metadata: Mapping[str, MetadataValue],
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    numbers: dict[str, list[float]] = {}
    times: dict[str, list[float]] = {}
    for key, value in metadata.items():
        for one in _values(value):
            if isinstance(one, str):
                times.setdefault(key, []).extend(_timestamps(one))
            elif not isinstance(one, bool):
                numbers.setdefault(key, []).append(one)
    return numbers, {key: timestamps for key, timestamps in times.items() if timestamps}


def _values(value: MetadataValue) -> Iterable[str | float | bool]:
    return value if isinstance(value, list) else [value]


def _timestamps(text: str) -> Iterator[float]:
    if text[:4].isdecimal():
        try:
            yield epoch_microseconds(datetime.fromisoformat(text))
        except ValueError:
            return


def epoch_microseconds(time: datetime) -> float:
    """Microseconds since 1970, exact in a double until 2255; a naive time is taken as UTC."""
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MICROSECOND


def field_path(root: str, key: str) -> str:
    """The payload path of a metadata key's numbers or times.

    Raises FilterInvalid for a key that cannot be a path.
    """
    if '"' in key or "\\" in key:
        raise FilterInvalid("a metadata key with a quote or a backslash does not support ranges")
    return f"{root}.{key}" if _PLAIN_KEY.fullmatch(key) else f'{root}."{key}"'


def metadata_keyword(key: str, value: str | float | bool) -> str:
    """Key, type and value as one keyword, equal only for equal values; 3.0 equals 3."""
    if isinstance(value, str):
        return f"{len(key)}:{key}=s:{value}"
    if isinstance(value, bool):
        return f"{len(key)}:{key}=b:{value}"
    number = int(value) if float(value).is_integer() else value
    return f"{len(key)}:{key}=n:{number}"


def scope_token(kind: str, tenant: str, collection: str | None = None) -> str:
    """The scope keyword of a tenant or a collection; length prefixes keep names with separators unique."""
    suffix = "" if collection is None else f"/{len(collection)}:{collection}"
    return f"{kind}/{len(tenant)}:{tenant}{suffix}"
