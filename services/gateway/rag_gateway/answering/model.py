"""The domain model of a question: its text, where to search, how to answer; and where the results came from."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rag.types.v1.filter_pb2 import Filter
from rag.types.v1.passage_pb2 import Passage


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Where and how to search. `fusion` is posterior, rrf or dbsf."""

    collections: tuple[str, ...] = ()
    # Those of `collections` that the caller named explicitly: it is an error if one of them does not exist.
    named: tuple[str, ...] = ()
    filter: Filter | None = None
    dense: bool = True
    sparse: bool = True
    candidates: int = 50
    top_k: int = 10
    min_score: float | None = None
    fusion: str = "posterior"
    rerank: bool = False
    explain: bool = False


@dataclass(frozen=True, slots=True)
class Generation:
    """Options of the generator; None and empty values mean the generator's defaults."""

    model: str = ""
    max_output_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    language: str = ""


@dataclass(frozen=True, slots=True)
class Support:
    """How well passages must support an answer; `mode` is refuse, flag or off."""

    mode: str = "refuse"
    min_score: float | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and its sources: options of a search, or passages that the caller sent."""

    text: str
    sources: Retrieval | Sequence[Passage]
    generation: Generation
    support: Support


@dataclass(slots=True)
class Provenance:
    """Which model and index a result came from, and which parts were degraded; filled stage by stage."""

    fingerprint: str = ""
    index_version: str = ""
    query_terms: Sequence[str] = ()
    degraded: list[str] = field(default_factory=list)
