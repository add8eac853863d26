"""A question as the core takes it: what is asked, where to search, how to answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from rag.types.v1.filter_pb2 import Filter
from rag.types.v1.passage_pb2 import Passage


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Where and how to search. `fusion` is posterior, rrf or dbsf."""

    collections: tuple[str, ...] = ()
    # Of these, the ones that the caller asked for by name: an error where there is none of that name.
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
    """How to write; None and empty leave it to the generator."""

    model: str = ""
    max_output_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    language: str = ""


@dataclass(frozen=True, slots=True)
class Support:
    """How well an answer must be supported; `mode` is refuse, flag or off."""

    mode: str = "refuse"
    min_score: float | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and where the passages come from: a search, or the caller."""

    text: str
    sources: Retrieval | Sequence[Passage]
    how: Generation
    support: Support
