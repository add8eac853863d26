"""The gateway's neighbours, played by objects that remember what they were asked."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rag.types.v1.document_pb2 import Document
from rag.types.v1.grounding_pb2 import Citation, Grounding, SkippedReason, Usage
from rag.types.v1.passage_pb2 import Evidence, Passage, ScoredPassage
from rag.types.v1.vector_pb2 import DenseVector, SparseVector
from rag_gateway.answering.model import Generation, Retrieval, Support
from rag_gateway.answering.service import GeneratedAnswer, SearchHits, TextDelta, Vectors
from rag_gateway.ingestion.service import Outcome, Outline, StoredDocument


def scored(name: str, score: float = 0.5) -> ScoredPassage:
    passage = Passage(passage_id=name, document_id=f"doc-{name}", text=f"text of {name}")
    return ScoredPassage(passage=passage, evidence=Evidence(score=score, sparse_rank=1))


def written(
    text: str = "done", *, cut_short: str = "", degraded: Sequence[str] = ()
) -> GeneratedAnswer:
    return GeneratedAnswer(
        text=text,
        citations=[Citation(number=1, passage_id="a")],
        grounding=Grounding(score=1.0),
        skipped_reason=SkippedReason.SKIPPED_REASON_UNSPECIFIED,
        confidence=0.9,
        usage=Usage(),
        model="fake",
        prompt_version="v1",
        cut_short=cut_short,
        seconds_to_first=0.25,
        degraded=degraded,
    )


@dataclass
class FakeEmbedding:
    """Embeds queries and chunks; `fails` is raised in the batch of that number.

    Reranking raises `unranked`, or never ends where that is None and there are no scores.
    """

    scores: Sequence[float] = ()
    error: Exception | None = None
    unranked: Exception | None = None
    fails: dict[int, Exception] = field(default_factory=dict)
    asked: list[tuple[str, bool, bool]] = field(default_factory=list)
    reranked: list[Sequence[str]] = field(default_factory=list)
    embedded: int = 0

    async def query(self, text: str, *, dense: bool, sparse: bool) -> Vectors:
        self.asked.append((text, dense, sparse))
        if self.error:
            raise self.error
        return Vectors(
            DenseVector(data=b"1234") if dense else None,
            SparseVector(indices=[1], values=[1.0], terms=["word"]) if sparse else None,
            "finger",
            {"embed.queue": 0.1},
        )

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        self.reranked.append(texts)
        if self.unranked:
            raise self.unranked
        if not self.scores:
            await asyncio.Event().wait()
        return self.scores

    async def fingerprint(self) -> str:
        return "finger"

    async def chunks(
        self, title: str, batches: AsyncIterator[Sequence[Any]]
    ) -> AsyncIterator[Sequence[Any]]:
        number = 0
        async for batch in batches:
            if number in self.fails:
                raise self.fails[number]
            self.embedded += len(batch)
            number += 1
            yield [f"vector of {chunk}" for chunk in batch]


@dataclass
class FakeSearching:
    """Finds these passages."""

    passages: Sequence[ScoredPassage] = ()
    asked: list[tuple[str, Retrieval]] = field(default_factory=list)

    async def search(self, tenant: str, vectors: Vectors, options: Retrieval) -> SearchHits:
        self.asked.append((tenant, options))
        return SearchHits(self.passages, "epoch-7")


@dataclass
class FakeWriting:
    """Writes this, word by word after `go`."""

    parts: Sequence[TextDelta | Citation | GeneratedAnswer] = (
        TextDelta("do"),
        TextDelta("ne"),
        written(),
    )
    go: asyncio.Event | None = None
    error: Exception | None = None
    given: list[Sequence[ScoredPassage]] = field(default_factory=list)
    closed: bool = False

    async def answer(
        self, question: str, passages: Sequence[ScoredPassage], how: Generation, support: Support
    ) -> GeneratedAnswer:
        self.given.append(passages)
        if self.error:
            raise self.error
        [whole] = [part for part in self.parts if isinstance(part, GeneratedAnswer)]
        return whole

    async def stream(
        self, question: str, passages: Sequence[ScoredPassage], how: Generation, support: Support
    ) -> AsyncIterator[TextDelta | Citation | GeneratedAnswer]:
        self.given.append(passages)
        try:
            for part in self.parts:
                if self.go:
                    await self.go.wait()
                yield part
            if self.error:
                raise self.error
        finally:
            self.closed = True

    async def check(self, text: str, passages: Sequence[Passage]) -> Grounding:
        return Grounding(score=0.5)


@dataclass
class FakeSplit:
    outline: Outline
    chunks: Sequence[Sequence[str]]

    async def batches(self) -> AsyncIterator[Sequence[str]]:
        for batch in self.chunks:
            yield batch


@dataclass
class FakeSplitting:
    """Cuts every file into the same chunks."""

    chunks: Sequence[Sequence[str]] = (("one", "two"), ("three",))
    error: Exception | None = None
    asked: int = 0

    async def split(self, content: bytes, filename: str, media_type: str) -> FakeSplit:
        self.asked += 1
        if self.error:
            raise self.error
        total = sum(map(len, self.chunks))
        return FakeSplit(Outline("its own title", "text/plain", 99, total), self.chunks)


@dataclass
class FakeStoring:
    """Keeps a document when all its batches have come, as the retriever does; `gate` holds that back."""

    kept: dict[tuple[str, str, str], tuple[Document, list[Any]]] = field(default_factory=dict)
    gate: asyncio.Event | None = None
    waiting: int = 0

    async def get(self, tenant: str, collection: str, document_id: str) -> Document | None:
        result = self.kept.get((tenant, collection, document_id))
        return result[0] if result else None

    async def is_complete(self, tenant: str, document: Document) -> bool:
        _, chunks = self.kept[tenant, document.collection, document.document_id]
        return len(chunks) == document.passage_count

    async def put(
        self,
        tenant: str,
        document: Document,
        fingerprint: str,
        batches: AsyncIterator[Sequence[Any]],
    ) -> StoredDocument:
        chunks = [chunk async for batch in batches for chunk in batch]
        if self.gate:
            self.waiting += 1
            await self.gate.wait()
        key = tenant, document.collection, document.document_id
        former = self.kept.get(key)
        if former and former[0].version == document.version and len(former[1]) == len(chunks):
            return StoredDocument(former[0], Outcome.UNCHANGED)
        self.kept[key] = document, chunks
        return StoredDocument(document, Outcome.REPLACED if former else Outcome.CREATED)
