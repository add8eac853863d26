"""What the gateway replies, as frozen data: offsets in NFC code points, times in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

Outcome: TypeAlias = Literal["created", "replaced", "unchanged", "unspecified"]


@dataclass(frozen=True, slots=True)
class Span:
    """Where a text stands in its document, in code points and in UTF-8 bytes; ends are one past."""

    start: int
    end: int
    start_byte: int
    end_byte: int


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document; also what a caller gives to be answered from or checked against."""

    passage_id: str
    text: str
    document_id: str = ""
    collection: str = ""
    title: str = ""
    headings: tuple[str, ...] = ()
    span: Span | None = None
    page: int | None = None
    ordinal: int = 0
    uri: str = ""
    version: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScoredPassage:
    """A passage and the evidence for it; ranks count from 1, None where a list does not hold it."""

    passage: Passage
    score: float
    dense_rank: int | None = None
    dense_score: float | None = None
    sparse_rank: int | None = None
    sparse_score: float | None = None
    matched_terms: tuple[str, ...] = ()
    rerank_score: float | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """A sentence of the answer, and the words of the passage that it rests on."""

    number: int
    passage_id: str
    document_id: str
    answer_start: int
    answer_end: int
    quote: str
    quote_start: int
    quote_end: int


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of a checked text."""

    start: int
    end: int
    supported: bool
    score: float
    passage_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grounding:
    """How far a text is supported: the share of its claims, 0 to 1, and each of them."""

    score: float
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class GroundingCheck:
    """What CheckGrounding found."""

    grounding: Grounding
    trace_id: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a reply was made with."""

    generation_model: str
    prompt_version: str
    embedding_fingerprint: str
    index_version: str
    region: str
    degraded: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and what it rests on.

    `skipped` says why there is none ("no_passages", "weak_evidence", "ungrounded"); `text` is then
    what to tell the user.
    """

    text: str
    citations: tuple[Citation, ...]
    references: tuple[ScoredPassage, ...]
    grounding: Grounding | None
    skipped: str | None
    confidence: float | None
    input_tokens: int
    output_tokens: int
    timings: Mapping[str, float]
    provenance: Provenance
    request_id: str
    trace_id: str


@dataclass(frozen=True, slots=True)
class Found:
    """The passages of a search, best first."""

    passages: tuple[ScoredPassage, ...]
    query_terms: tuple[str, ...]
    timings: Mapping[str, float]
    provenance: Provenance
    request_id: str
    trace_id: str


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a request; lengths in characters, sizes in bytes, the deadline in seconds."""

    query_characters: int
    top_k: int
    candidates: int
    passages: int
    document_bytes: int
    upload_bytes: int
    deadline: float


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the deployment offers; the default generation model comes first."""

    generation_models: tuple[str, ...]
    embedding_model: str
    embedding_dimensions: int
    embedding_fingerprint: str
    reranker: str
    media_types: tuple[str, ...]
    limits: Limits
    region: str
    version: str


@dataclass(frozen=True, slots=True)
class Document:
    """What is known of a document, without its text."""

    document_id: str
    collection: str
    title: str
    uri: str
    media_type: str
    metadata: Mapping[str, Any]
    version: str
    passage_count: int
    character_count: int
    update_time: datetime | None


@dataclass(frozen=True, slots=True)
class Ingested:
    """A document as it is now, and what became of it."""

    document: Document
    outcome: Outcome
    timings: Mapping[str, float]
    trace_id: str
