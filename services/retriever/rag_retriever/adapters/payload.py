"""What a point carries: documents and chunks to payloads and back, for both engines.

A chunk's `scope` is empty until it is published, and every read asks for a scope: so nothing staged
is ever seen. `facts`, `numbers` and `times` repeat the metadata in the form that an index answers.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from rag_common.errors import FilterInvalid
from rag_retriever.chunking import Chunk
from rag_retriever.passages import Document, DocumentKey, MetadataValue, Passage

Payload: TypeAlias = dict[str, Any]

DENSE = "dense"
SPARSE = "sparse"
CHUNK = "chunk"
DOCUMENT = "document"
SCOPE = "scope"
OWNER = "owner"
VERSION = "version"
FACTS = "facts"
NUMBERS = "numbers"
TIMES = "times"
KEYWORDS = (OWNER, VERSION, FACTS)
PUBLISHING_SCOPE = "publishing"
PASSAGE_FIELDS = (DOCUMENT, CHUNK)

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_]+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def staged_payload(document: Document, chunk: Chunk) -> Payload:
    """A chunk that no scope has yet."""
    return {**_common(document), SCOPE: [], CHUNK: asdict(chunk)}


def published_payload(document: Document, kind: str) -> Payload:
    """What publishing sets on chunks, and all there is of a document's own point."""
    key = document.key
    scope = [token(kind, key.tenant), token(kind, key.tenant, key.collection)]
    return {**_common(document), SCOPE: scope}


def publishing_payload(document: Document) -> Payload:
    """The note that a version is being published, so that a crash in between can be healed."""
    return {**_common(document), SCOPE: [PUBLISHING_SCOPE]}


def is_id(text: str) -> bool:
    """Whether this is a point's id as we write it; UUID reads other spellings too."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def passage_from(id: str, payload: Payload) -> Passage:
    """The passage of a chunk's payload."""
    chunk = payload[CHUNK]
    return Passage(
        id, document_from(payload), Chunk(**{**chunk, "headings": tuple(chunk["headings"])})
    )


def document_from(payload: Payload) -> Document:
    """The document of a chunk's or a document's payload."""
    fields = dict(payload[DOCUMENT])
    key = DocumentKey(fields.pop("tenant"), fields.pop("collection"), fields.pop("document_id"))
    updated = datetime.fromisoformat(fields.pop("updated"))
    return Document(key=key, updated=updated, **fields)


def range_fields(document: Document) -> set[str]:
    """The paths of this document's numbers and times, for an engine that indexes each path."""
    numbers, times = _ranges(document.metadata)
    return {path(NUMBERS, key) for key in numbers} | {path(TIMES, key) for key in times}


def _common(document: Document) -> Payload:
    numbers, times = _ranges(document.metadata)
    return {
        OWNER: document.key.point_id(),
        VERSION: document.version,
        FACTS: list(_facts(document)),
        NUMBERS: numbers,
        TIMES: times,
        DOCUMENT: _document_payload(document),
    }


def _document_payload(document: Document) -> Payload:
    return {
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


def _facts(document: Document) -> Iterator[str]:
    yield fact("document_id", document.key.document_id)
    for key, value in document.metadata.items():
        if key != "document_id":
            yield from (fact(key, one) for one in _values(value))


def _ranges(
    metadata: Mapping[str, MetadataValue],
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    numbers: dict[str, list[float]] = {}
    times: dict[str, list[float]] = {}
    for key, value in metadata.items():
        for one in _values(value):
            if isinstance(one, str):
                times.setdefault(key, []).extend(_moments(one))
            elif not isinstance(one, bool):
                numbers.setdefault(key, []).append(one)
    return numbers, {key: moments for key, moments in times.items() if moments}


def _values(value: MetadataValue) -> Iterable[str | float | bool]:
    return value if isinstance(value, list) else [value]


def _moments(text: str) -> Iterator[float]:
    if text[:4].isdecimal():
        try:
            yield moment(datetime.fromisoformat(text))
        except ValueError:
            return


def moment(time: datetime) -> float:
    """Microseconds since 1970, exact in a double until 2255; a time without a zone is UTC."""
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MICROSECOND


def path(root: str, key: str) -> str:
    """The field of a metadata key's numbers or times; FilterInvalid for a key no field can have."""
    if '"' in key or "\\" in key:
        raise FilterInvalid("a metadata key with a quote or a backslash has no ranges")
    return f"{root}.{key}" if _PLAIN_KEY.fullmatch(key) else f'{root}."{key}"'


def fact(key: str, value: str | float | bool) -> str:
    """Key, type and value in one keyword: equal for equal values only; 3.0 is 3."""
    if isinstance(value, str):
        return f"{len(key)}:{key}=s:{value}"
    if isinstance(value, bool):
        return f"{len(key)}:{key}=b:{value}"
    whole = int(value) if float(value).is_integer() else value
    return f"{len(key)}:{key}=n:{whole}"


def token(kind: str, tenant: str, collection: str | None = None) -> str:
    """The lengths keep apart what a separator in a name would run together."""
    place = "" if collection is None else f"/{len(collection)}:{collection}"
    return f"{kind}/{len(tenant)}:{tenant}{place}"
