"""The keyword arguments that each call takes; what is left out, the gateway decides."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal, TypeAlias, TypedDict

from rag_client.filters import Filter
from rag_client.results import Passage

Mode: TypeAlias = Literal["hybrid", "dense", "sparse"]
Fusion: TypeAlias = Literal["posterior", "rrf", "dbsf"]
GroundingMode: TypeAlias = Literal["refuse", "flag", "off"]
MetadataValue: TypeAlias = str | float | bool | Sequence[str] | Sequence[float]


class CallOptions(TypedDict, total=False):
    """What every call takes: seconds it may last in all, and the W3C trace it belongs to."""

    timeout: float | None
    traceparent: str | None


class SearchOptions(CallOptions, total=False):
    """Where and how to search."""

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
    """How to search, how to write, and how well the answer must be supported.

    With `passages` (texts, or passages with ids of the caller's own) nothing is searched.
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
    """Which collection a document is in; `default` where left out."""

    collection: str


class ListOptions(CallOptions, total=False):
    """Which collection is listed (all where left out), and how many documents a page has."""

    collection: str
    page_size: int


class PassageOptions(DocumentOptions, total=False):
    """From which ordinal on, and how many passages at most."""

    first_ordinal: int
    page_size: int


class IngestOptions(DocumentOptions, total=False):
    """What the caller says of a document."""

    document_id: str
    title: str
    uri: str
    filename: str
    media_type: str
    metadata: Mapping[str, MetadataValue]
    request_id: str


class PageOptions(CallOptions, total=False):
    """How many entries a page has; the gateway's own number where left out."""

    page_size: int


class GrantOptions(CallOptions, total=False):
    """What a new key or token opens (all that the caller may use where left out), and for how long."""

    collections: Sequence[str]
    lifetime: timedelta | None
