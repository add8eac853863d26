"""The order of things: embed, search, rerank, generate; with time for each stage and proof of what was used."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from rag.types.v1.grounding_pb2 import Citation, Grounding, SkippedReason, Usage
from rag.types.v1.passage_pb2 import Passage, ScoredPassage
from rag.types.v1.vector_pb2 import DenseVector, SparseVector
from rag_common import errors
from rag_gateway.excerpt import MODEL, excerpt
from rag_gateway.journey import Journey
from rag_gateway.question import Generation, Question, Retrieval, Support
from rag_gateway.reranking import RERANKER, Scoring, reordered, widened
from rag_gateway.turns import Turns

# What Journey.degraded says where passages are quoted in an answer's stead.
GENERATOR = "generator"


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
    """An answer as the generator gives it; `seconds_to_first` until its first words.

    `degraded` names the parts that were away while it was written.
    """

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
    degraded: Sequence[str] = ()


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


class Embedding(Scoring, Protocol):
    """Makes vectors of queries. Raises AppError."""

    async def query(self, text: str, *, dense: bool, sparse: bool) -> Vectors: ...


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
            written = await self._written(question, found)
            if written.cut_short == errors.DeadlineExceeded.reason:
                raise errors.DeadlineExceeded("the time for writing the answer is used up")
        return _answered(written, found)

    async def stream(self, tenant: str, question: Question) -> AsyncGenerator[Event, None]:
        """The same as it comes: Found, then Words and Citations, then Answered."""
        found = await self._sources(tenant, question)
        yield found
        with found.journey.stage("generate"):
            async with aclosing(self._parts(question, found)) as parts:
                async for part in parts:
                    if isinstance(part, Written):
                        written = part
                    else:
                        yield part
        yield _answered(written, found)

    async def check(self, text: str, passages: Sequence[Passage]) -> Grounding:
        """How far the passages support the text, sentence by sentence."""
        return await self._writing.check(text, passages)

    async def _written(self, question: Question, found: Found) -> Written:
        began = monotonic()
        passages = _weighed(question, found)
        try:
            return await self._writing.answer(
                question.text, passages, question.how, question.support
            )
        except errors.Unavailable as error:
            if not _generator_away(error):
                raise
            return _quoted(question, found, began)

    async def _parts(
        self, question: Question, found: Found
    ) -> AsyncGenerator[Words | Citation | Written, None]:
        """What the generator writes; where it is away before its first words, what was found."""
        began, begun = monotonic(), False
        passages = _weighed(question, found)
        try:
            parts = self._writing.stream(question.text, passages, question.how, question.support)
            async for part in parts:
                begun = True
                yield part
            return
        except errors.Unavailable as error:
            if begun or not _generator_away(error):
                raise
        written = _quoted(question, found, began)
        yield Words(written.text)
        for citation in written.citations:
            yield citation
        yield written

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
            hits = await self._searching.search(tenant, vectors, widened(options))
        journey.index_version = hits.index_version
        passages = hits.passages
        if options.rerank and passages:
            with journey.stage("rerank"):
                passages = await reordered(self._embedding, query, passages, options.top_k, journey)
        return Found(passages, journey)


def _weighed(question: Question, found: Found) -> Sequence[ScoredPassage]:
    """The passages with their share of belief, which generators weigh; other scores are kept back."""
    sources = question.sources
    if isinstance(sources, Retrieval) and sources.fusion == "posterior":
        reranked = sources.rerank and RERANKER not in found.journey.degraded
        if not reranked:
            return found.passages
    return [ScoredPassage(passage=item.passage) for item in found.passages]


def _generator_away(error: errors.Unavailable) -> bool:
    """Whether it is the generator itself; one behind it is the generator's to do without."""
    return error.metadata.get("peer", GENERATOR) == GENERATOR


def _quoted(question: Question, found: Found, began: float) -> Written:
    """The best passages' own words, where there is no generator to write an answer."""
    made = excerpt(question, found.passages, found.journey.query_terms)
    return Written(
        text=made.text,
        citations=made.citations,
        grounding=made.grounding,
        skipped_reason=made.skipped_reason,
        confidence=made.confidence,
        usage=Usage(),
        model=MODEL,
        prompt_version="",
        cut_short="",
        seconds_to_first=monotonic() - began,
        degraded=(GENERATOR,),
    )


def _answered(written: Written, found: Found) -> Answered:
    found.journey.degraded.extend(written.degraded)
    found.journey.seconds["first_token"] = written.seconds_to_first
    found.journey.finish()
    return Answered(written, found)
