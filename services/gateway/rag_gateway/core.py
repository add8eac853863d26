"""The order of things: embed, search, rerank, generate; with time for each stage and proof of what was used."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Protocol

from rag.types.v1.grounding_pb2 import Citation, Grounding, SkippedReason, Usage
from rag.types.v1.passage_pb2 import Passage, ScoredPassage
from rag.types.v1.vector_pb2 import DenseVector, SparseVector
from rag_common import errors
from rag_gateway.journey import Journey
from rag_gateway.question import Generation, Question, Retrieval, Support
from rag_gateway.turns import Turns

# Reranking reads this many passages at most; a cross-encoder's time grows with each.
_RERANKED = 50


@dataclass(frozen=True, slots=True)
class Vectors:
    """A query's vectors, and seconds spent on them by stage."""

    dense: DenseVector | None
    sparse: SparseVector | None
    fingerprint: str
    seconds: dict[str, float]


@dataclass(frozen=True, slots=True)
class Hits:
    """What a search of the index found, best first."""

    passages: Sequence[ScoredPassage]
    index_version: str


@dataclass(frozen=True, slots=True)
class Written:
    """An answer as the generator gives it; `seconds_to_first` until its first words."""

    text: str
    citations: Sequence[Citation]
    grounding: Grounding
    skipped_reason: SkippedReason
    confidence: float | None
    usage: Usage
    model: str
    prompt_version: str
    cut_short: str
    seconds_to_first: float


@dataclass(frozen=True, slots=True)
class Words:
    """More words of an answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """Passages for a query, and how they were found."""

    passages: Sequence[ScoredPassage]
    journey: Journey


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer with the passages that it was written from."""

    written: Written
    found: Found


Event = Found | Words | Citation | Answered


class Embedding(Protocol):
    """Makes vectors of queries. Raises AppError."""

    async def query(self, text: str, *, dense: bool, sparse: bool) -> Vectors: ...

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]: ...


class Searching(Protocol):
    """Searches the index for one tenant. Raises AppError, CollectionNotFound among them."""

    async def search(self, tenant: str, vectors: Vectors, options: Retrieval) -> Hits: ...


class Writing(Protocol):
    """Writes answers. Raises AppError."""

    async def answer(
        self, question: str, passages: Sequence[ScoredPassage], how: Generation, support: Support
    ) -> Written: ...

    def stream(
        self, question: str, passages: Sequence[ScoredPassage], how: Generation, support: Support
    ) -> AsyncIterator[Words | Citation | Written]: ...

    async def check(self, text: str, passages: Sequence[Passage]) -> Grounding: ...


class Answering:
    """Search and answers for one tenant at a time."""

    def __init__(
        self, embedding: Embedding, searching: Searching, writing: Writing, turns: Turns
    ) -> None:
        self._turns = turns
        self._embedding = embedding
        self._searching = searching
        self._writing = writing

    async def search(self, tenant: str, query: str, options: Retrieval) -> Found:
        """The tenant's passages for the query, best first."""
        found = await self._find(tenant, query, options)
        found.journey.finish()
        return found

    async def answer(self, tenant: str, question: Question) -> Answered:
        """An answer from the tenant's passages, or from the given ones, which skips the search."""
        found = await self._sources(tenant, question)
        with found.journey.stage("generate"):
            written = await self._writing.answer(
                question.text, _weighed(question, found), question.how, question.support
            )
            if written.cut_short == errors.DeadlineExceeded.reason:
                raise errors.DeadlineExceeded("the time for writing the answer is used up")
        return _answered(written, found)

    async def stream(self, tenant: str, question: Question) -> AsyncGenerator[Event, None]:
        """The same as it comes: Found, then Words and Citations, then Answered."""
        found = await self._sources(tenant, question)
        yield found
        passages = _weighed(question, found)
        parts = self._writing.stream(question.text, passages, question.how, question.support)
        with found.journey.stage("generate"):
            async for part in parts:
                if isinstance(part, Written):
                    written = part
                else:
                    yield part
        yield _answered(written, found)

    async def check(self, text: str, passages: Sequence[Passage]) -> Grounding:
        """How far the passages support the text, sentence by sentence."""
        return await self._writing.check(text, passages)

    async def _sources(self, tenant: str, question: Question) -> Found:
        if isinstance(question.sources, Retrieval):
            return await self._find(tenant, question.text, question.sources)
        given = [ScoredPassage(passage=item) for item in question.sources]
        return Found(given, Journey())

    async def _find(self, tenant: str, query: str, options: Retrieval) -> Found:
        journey = Journey()
        async with self._turns.turn(tenant):
            journey.seconds["queue"] = monotonic() - journey.started
            return await self._run(tenant, query, options, journey)

    async def _run(self, tenant: str, query: str, options: Retrieval, journey: Journey) -> Found:
        with journey.stage("embed"):
            vectors = await self._embedding.query(query, dense=options.dense, sparse=options.sparse)
        journey.seconds.update(vectors.seconds)
        journey.fingerprint = vectors.fingerprint
        if vectors.sparse:
            journey.query_terms = vectors.sparse.terms
        with journey.stage("search"):
            hits = await self._searching.search(tenant, vectors, _widened(options))
        journey.index_version = hits.index_version
        passages = hits.passages
        if options.rerank and passages:
            with journey.stage("rerank"):
                passages = await self._reranked(query, passages, options.top_k)
        return Found(passages, journey)

    async def _reranked(
        self, query: str, passages: Sequence[ScoredPassage], top_k: int
    ) -> list[ScoredPassage]:
        scores = await self._embedding.rerank(query, [item.passage.text for item in passages])
        for item, score in zip(passages, scores, strict=True):
            item.evidence.rerank_score = score
        return sorted(passages, key=lambda item: -item.evidence.rerank_score)[:top_k]


def _widened(options: Retrieval) -> Retrieval:
    if not options.rerank:
        return options
    return replace(options, top_k=max(options.top_k, min(_RERANKED, options.candidates)))


def _weighed(question: Question, found: Found) -> Sequence[ScoredPassage]:
    """The passages with their share of belief, which generators weigh; other scores are kept back."""
    sources = question.sources
    if isinstance(sources, Retrieval) and sources.fusion == "posterior" and not sources.rerank:
        return found.passages
    return [ScoredPassage(passage=item.passage) for item in found.passages]


def _answered(written: Written, found: Found) -> Answered:
    found.journey.seconds["first_token"] = written.seconds_to_first
    found.journey.finish()
    return Answered(written, found)
