"""The events of a streamed answer: Started comes first, Completed or Incomplete last."""

from dataclasses import dataclass
from typing import TypeAlias

from rag_client.models.results import Answer, Citation, Grounding, ScoredPassage


@dataclass(frozen=True, slots=True)
class Started:
    """The gateway accepted the request."""

    request_id: str
    trace_id: str


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The passages were retrieved, best first; precedes the first Delta."""

    references: tuple[ScoredPassage, ...]


@dataclass(frozen=True, slots=True)
class Delta:
    """More text of the answer; the deltas in their order are the answer."""

    sequence: int
    text: str


@dataclass(frozen=True, slots=True)
class Cited:
    """A sentence is complete, with the quote that supports it."""

    citation: Citation


@dataclass(frozen=True, slots=True)
class Grounded:
    """How well the passages support the answer."""

    grounding: Grounding


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Sent while there is no other event; `elapsed` is in seconds since the stream began."""

    elapsed: float


@dataclass(frozen=True, slots=True)
class Warned:
    """A part of the platform is degraded; the answer continues."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Completed:
    """The stream ended with the complete answer."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Incomplete:
    """The stream ended early; the text so far remains valid."""

    reason: str
    message: str


Event: TypeAlias = (
    Started | Retrieved | Delta | Cited | Grounded | Heartbeat | Warned | Completed | Incomplete
)
