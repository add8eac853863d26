"""The keyword arguments of each call; the gateway has defaults for omitted ones."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Literal, TypeAlias, TypedDict

from rag_client.models.filters import Filter
from rag_client.models.results import Passage

Mode: TypeAlias = Literal["hybrid", "dense", "sparse"]
Fusion: TypeAlias = Literal["posterior", "rrf", "dbsf"]
GroundingMode: TypeAlias = Literal["refuse", "flag", "off"]
MetadataValue: TypeAlias = (
    str | float | bool | date | Sequence[str] | Sequence[float] | Sequence[date]
)


class CallOptions(TypedDict, total=False):
    """Options of every call: its deadline in seconds, retries included, and its W3C trace context.

    A `tracestate` is sent with a `traceparent` only; a malformed one is dropped, as W3C requires.
    """

    timeout: float | None
    traceparent: str | None
    tracestate: str | None


class SearchOptions(CallOptions, total=False):
    """Which collections to search, and how."""

    collections: Sequence[str]
    filter: Filter | None
    mode: Mode | None
    candidates: int | None
    top_k: int | None
    min_score: float | None
    fusion: Fusion | None
    rerank: bool
    explain: bool
    request_id: str


class AnswerOptions(SearchOptions, total=False):
    """Options for retrieval, for generation, and for how well the answer must be supported.

    With `passages` (texts, or passages with the caller's own ids) the answer is based on these, and
    nothing is searched.
    """

    passages: Sequence[Passage | str]
    model: str | None
    max_output_tokens: int | None
    temperature: float | None
    seed: int | None
    language: str | None
    grounding: GroundingMode | None
    min_confidence: float | None


class DocumentOptions(CallOptions, total=False):
    """The collection of a document; `default` if omitted."""

    collection: str


class ListOptions(CallOptions, total=False):
    """The collection to list (all if omitted), and the number of documents in a page."""

    collection: str
    page_size: int


class PassageOptions(DocumentOptions, total=False):
    """The first passage's ordinal, and the maximum number of passages."""

    first_ordinal: int
    page_size: int


class IngestOptions(DocumentOptions, total=False):
    """A document's properties; a date or datetime in its metadata is sent as RFC 3339."""

    document_id: str
    title: str
    uri: str
    filename: str
    media_type: str
    metadata: Mapping[str, MetadataValue]
    request_id: str


class PageOptions(CallOptions, total=False):
    """The number of entries in a page."""

    page_size: int


class GrantOptions(CallOptions, total=False):
    """The collections of a new key or token (all of the caller's if omitted), and its lifetime."""

    collections: Sequence[str]
    lifetime: timedelta | None
