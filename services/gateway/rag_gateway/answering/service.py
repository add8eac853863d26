"""The answering pipeline: embed, search, rerank, generate; with the time of each stage and the provenance."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from rag.types.v1.grounding_pb2 import Citation, Grounding, SkippedReason, Usage
from rag.types.v1.passage_pb2 import Passage, ScoredPassage
from rag.types.v1.vector_pb2 import DenseVector, SparseVector
from rag_common.timings import StageTimings
from rag_contract import errors
from rag_gateway.answering.fair_semaphore import FairSemaphore
from rag_gateway.answering.model import Generation, Provenance, Question, Retrieval, Support
from rag_gateway.answering.quoting import MODEL, quoting_fallback
from rag_gateway.answering.reranking import RERANKER, Reranker, reordered, widened

# The entry in Provenance.degraded if passages are quoted instead of a generated answer.
GENERATOR = "generator"


@dataclass(frozen=True, slots=True)
class Vectors:
    """A query's vectors, and the seconds spent on them by stage."""

    dense: DenseVector | None
    sparse: SparseVector | None
    fingerprint: str
    seconds: dict[str, float]


@dataclass(frozen=True, slots=True)
class SearchHits:
    """The passages that the index returned, best first."""

    passages: Sequence[ScoredPassage]
    index_version: str


@dataclass(frozen=True, slots=True)
class GeneratedAnswer:
    """The generator's answer; `seconds_to_first` is the time to its first token.

    `degraded` names the parts that were unavailable during generation.
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
class TextDelta:
    """The next piece of an answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Passages for a query, with timings and provenance."""

    passages: Sequence[ScoredPassage]
    timings: StageTimings
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class AnswerResult:
    """An answer, and the search result that it was generated from."""

    answer: GeneratedAnswer
    search: SearchResult


Event = SearchResult | TextDelta | Citation | AnswerResult


class QueryEmbedder(Reranker, Protocol):
    """Embeds queries. Raises AppError."""

    async def query(self, text: str, *, dense: bool, sparse: bool) -> Vectors: ...


class Searcher(Protocol):
    """Searches the index for one tenant. Raises AppError, CollectionNotFound among them."""

    async def search(self, tenant: str, vectors: Vectors, options: Retrieval) -> SearchHits: ...


class AnswerGenerator(Protocol):
    """Generates answers. Raises AppError."""

    async def answer(
        self,
        question: str,
        passages: Sequence[ScoredPassage],
        generation: Generation,
        support: Support,
    ) -> GeneratedAnswer: ...

    def stream(
        self,
        question: str,
        passages: Sequence[ScoredPassage],
        generation: Generation,
        support: Support,
    ) -> AsyncGenerator[TextDelta | Citation | GeneratedAnswer, None]: ...

    async def check(self, text: str, passages: Sequence[Passage]) -> Grounding: ...


class AnsweringService:
    """Searches and answers for one tenant at a time."""

    def __init__(
        self,
        embedder: QueryEmbedder,
        searcher: Searcher,
        generator: AnswerGenerator,
        slots: FairSemaphore,
    ) -> None:
        self._slots = slots
        self._embedder = embedder
        self._searcher = searcher
        self._generator = generator

    async def search(self, tenant: str, query: str, options: Retrieval) -> SearchResult:
        """The tenant's passages for the query, best first."""
        result = await self._search(tenant, query, options)
        result.timings.finish()
        return result

    async def answer(self, tenant: str, question: Question) -> AnswerResult:
        """An answer from the tenant's passages, or from those that the question brings, without a search."""
        search = await self._sources(tenant, question)
        with search.timings.stage("generate"):
            answer = await self._generate(question, search)
            if answer.cut_short == errors.DeadlineExceeded.reason:
                raise errors.DeadlineExceeded("the time for writing the answer is used up")
        return _answer_result(answer, search)

    async def stream(self, tenant: str, question: Question) -> AsyncGenerator[Event, None]:
        """The same as events: a SearchResult, then TextDeltas and Citations, then the AnswerResult."""
        search = await self._sources(tenant, question)
        yield search
        began, has_begun = monotonic(), False
        answer: GeneratedAnswer | None = None
        with search.timings.stage("generate"):
            passages = _prompt_passages(question, search)
            events = self._generator.stream(
                question.text, passages, question.generation, question.support
            )
            try:
                async with aclosing(events):
                    async for event in events:
                        has_begun = True
                        if isinstance(event, GeneratedAnswer):
                            answer = event
                        else:
                            yield event
            except errors.Unavailable as error:
                if has_begun or not _is_generator_unavailable(error):
                    raise
                answer = _quoted(question, search, began)
        if answer is None:
            raise errors.Internal("the generator ended without an answer")
        if not has_begun:
            yield TextDelta(answer.text)
            for citation in answer.citations:
                yield citation
        yield _answer_result(answer, search)

    async def check(self, text: str, passages: Sequence[Passage]) -> Grounding:
        """How far the passages support the text, sentence by sentence."""
        return await self._generator.check(text, passages)

    async def _generate(self, question: Question, search: SearchResult) -> GeneratedAnswer:
        began = monotonic()
        passages = _prompt_passages(question, search)
        try:
            return await self._generator.answer(
                question.text, passages, question.generation, question.support
            )
        except errors.Unavailable as error:
            if not _is_generator_unavailable(error):
                raise
            return _quoted(question, search, began)

    async def _sources(self, tenant: str, question: Question) -> SearchResult:
        if isinstance(question.sources, Retrieval):
            return await self._search(tenant, question.text, question.sources)
        passages = [ScoredPassage(passage=item) for item in question.sources]
        return SearchResult(passages, StageTimings(), Provenance())

    async def _search(self, tenant: str, query: str, options: Retrieval) -> SearchResult:
        timings = StageTimings()
        async with self._slots.slot(tenant):
            timings.seconds["queue"] = monotonic() - timings.started
            return await self._retrieve(tenant, query, options, timings)

    async def _retrieve(
        self, tenant: str, query: str, options: Retrieval, timings: StageTimings
    ) -> SearchResult:
        provenance = Provenance()
        with timings.stage("embed"):
            vectors = await self._embedder.query(query, dense=options.dense, sparse=options.sparse)
        timings.seconds.update(vectors.seconds)
        provenance.fingerprint = vectors.fingerprint
        if vectors.sparse:
            provenance.query_terms = vectors.sparse.terms
        with timings.stage("search"):
            hits = await self._searcher.search(tenant, vectors, widened(options))
        provenance.index_version = hits.index_version
        passages = hits.passages
        if options.rerank and passages:
            with timings.stage("rerank"):
                passages = await reordered(
                    self._embedder, query, passages, options.top_k, provenance
                )
        return SearchResult(passages, timings, provenance)


def _prompt_passages(question: Question, search: SearchResult) -> Sequence[ScoredPassage]:
    """The passages for the generator, with their scores only if these are posterior probabilities.

    The generator weighs passages by probability; scores of other fusions are left out.
    """
    sources = question.sources
    if isinstance(sources, Retrieval) and sources.fusion == "posterior":
        reranked = sources.rerank and RERANKER not in search.provenance.degraded
        if not reranked:
            return search.passages
    return [ScoredPassage(passage=item.passage) for item in search.passages]


def _is_generator_unavailable(error: errors.Unavailable) -> bool:
    """Whether the generator itself is unavailable; its own dependencies are its own to replace."""
    return error.metadata.get("peer", GENERATOR) == GENERATOR


def _quoted(question: Question, search: SearchResult, began: float) -> GeneratedAnswer:
    """The first passage, quoted, because the generator is unavailable."""
    quoted = quoting_fallback(question, search.passages)
    return GeneratedAnswer(
        text=quoted.text,
        citations=quoted.citations,
        grounding=quoted.grounding,
        skipped_reason=quoted.skipped_reason,
        confidence=quoted.confidence,
        usage=Usage(),
        model=MODEL,
        prompt_version="",
        cut_short="",
        seconds_to_first=monotonic() - began,
        degraded=(GENERATOR,),
    )


def _answer_result(answer: GeneratedAnswer, search: SearchResult) -> AnswerResult:
    search.provenance.degraded.extend(answer.degraded)
    search.timings.seconds["first_token"] = answer.seconds_to_first
    search.timings.finish()
    return AnswerResult(answer, search)
