"""The gateway's results as frozen data: offsets in NFC code points, durations in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

IngestOutcome: TypeAlias = Literal["created", "replaced", "unchanged", "unspecified"]


@dataclass(frozen=True, slots=True)
class Span:
    """The position of a text in its document, in code points and in UTF-8 bytes; ends are exclusive."""

    start: int
    end: int
    start_byte: int
    end_byte: int


@dataclass(frozen=True, slots=True)
class Location:
    """Where in its file a passage is, besides its page: rows of a sheet, from 1, or a mail's attachment."""

    sheet: str = ""
    first_row: int = 0
    last_row: int = 0
    attachment: str = ""

    def __str__(self) -> str:
        row = f"row {self.first_row}" if self.first_row else ""
        if self.last_row > self.first_row:
            row = f"rows {self.first_row}-{self.last_row}"
        return " ".join(filter(None, (self.attachment, self.sheet, row)))


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of a document, or of a caller's own text to answer from or to check against."""

    passage_id: str
    text: str
    document_id: str = ""
    collection: str = ""
    title: str = ""
    headings: tuple[str, ...] = ()
    span: Span | None = None
    page: int | None = None
    location: Location | None = None
    ordinal: int = 0
    uri: str = ""
    version: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScoredPassage:
    """A passage and its scores; ranks start at 1, and are None if that list lacks the passage."""

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
    """A sentence of the answer, and the quote from a passage that supports it."""

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
    """How well passages support a text: the share of supported claims, 0 to 1, and each claim."""

    score: float
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class GroundingCheck:
    """The result of CheckGrounding."""

    grounding: Grounding
    trace_id: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """The models and versions that produced a reply."""

    generation_model: str
    prompt_version: str
    embedding_fingerprint: str
    index_version: str
    region: str
    degraded: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and its evidence.

    `skipped` is the reason if there is no answer ("no_passages", "weak_evidence", "ungrounded"), else
    None; `text` is then the message for the user.
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
    """The deployment's models, media types and limits; the default generation model comes first."""

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
class ReadingWarning:
    """A part of a document that could not be read: a constant, what it was in two languages, and pages."""

    reason: str
    description: str
    description_ko: str
    pages: tuple[int, ...] = ()

    def __str__(self) -> str:
        pages = ", ".join(map(str, self.pages))
        return f"{self.description} ({pages})" if pages else self.description


@dataclass(frozen=True, slots=True)
class Document:
    """A document's metadata and sizes, without its text."""

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
    warnings: tuple[ReadingWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class Ingested:
    """An ingested document and its outcome."""

    document: Document
    outcome: IngestOutcome
    timings: Mapping[str, float]
    trace_id: str
