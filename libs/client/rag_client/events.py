"""What happens while an answer is made: Started first, Completed or Incomplete last."""

from dataclasses import dataclass
from typing import TypeAlias

from rag_client.results import Answer, Citation, Grounding, ScoredPassage


@dataclass(frozen=True, slots=True)
class Started:
    """The request was let in."""

    request_id: str
    trace_id: str


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The passages were found, best first; before the first word."""

    references: tuple[ScoredPassage, ...]


@dataclass(frozen=True, slots=True)
class Delta:
    """More words; all of them, one after the other, are the answer."""

    sequence: int
    text: str


@dataclass(frozen=True, slots=True)
class Cited:
    """A sentence is complete, and rests on this."""

    citation: Citation


@dataclass(frozen=True, slots=True)
class Grounded:
    """How far the answer is supported."""

    grounding: Grounding


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Nothing to say for a while; seconds since the stream began."""

    elapsed: float


@dataclass(frozen=True, slots=True)
class Warned:
    """Something is worse than usual, and the answer goes on."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Completed:
    """The end: the whole answer."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Incomplete:
    """The end without the whole answer; what was written so far stays good."""

    reason: str
    message: str


Event: TypeAlias = (
    Started | Retrieved | Delta | Cited | Grounded | Heartbeat | Warned | Completed | Incomplete
)
