"""The gateway's neighbours, played by objects that remember what they were asked."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from rag.ingestor.v1.ingestor_service_pb2 import (
    INGEST_OUTCOME_CREATED,
    IngestDocumentResponse,
    IngestHeader,
)
from rag.types.v1.document_pb2 import Document
from rag.types.v1.grounding_pb2 import Citation, Grounding, SkippedReason, Usage
from rag.types.v1.passage_pb2 import Evidence, Passage, ScoredPassage
from rag.types.v1.vector_pb2 import DenseVector, SparseVector
from rag_contract import errors
from rag_gateway.answering.model import Generation, Retrieval, Support
from rag_gateway.answering.service import GeneratedAnswer, SearchHits, TextDelta, Vectors
from rag_gateway.clients.ingestor import Content


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
    """Embeds queries.

    Reranking raises `unranked`, or never ends where that is None and there are no scores.
    """

    scores: Sequence[float] = ()
    error: Exception | None = None
    unranked: Exception | None = None
    asked: list[tuple[str, bool, bool]] = field(default_factory=list)
    reranked: list[Sequence[str]] = field(default_factory=list)

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


class FakeDocuments:
    """Takes every document; `default` is the only one that is there."""

    async def ingest(
        self,
        tenant: str,
        header: IngestHeader,
        content: Content,
        on_received: Callable[[int], None],
    ) -> IngestDocumentResponse:
        size = sum([len(piece) async for piece in content.pieces()])
        on_received(size)
        document = Document(
            document_id=header.document_id or "sha256:0",
            collection=header.collection,
            metadata=header.metadata,
            character_count=size,
            passage_count=1,
        )
        return IngestDocumentResponse(document=document, outcome=INGEST_OUTCOME_CREATED)

    async def get(self, tenant: str, collection: str, document_id: str) -> Document:
        if document_id != "default":
            raise errors.DocumentNotFound("there is no such document")
        return Document(document_id=document_id, collection=collection)

    async def documents(
        self, tenant: str, collection: str, page_size: int, page_token: str
    ) -> tuple[Sequence[Document], str]:
        return [], ""

    async def passages(
        self, tenant: str, collection: str, document_id: str, first: int, page_size: int
    ) -> Sequence[Passage]:
        return []

    async def delete(self, tenant: str, collection: str, document_id: str) -> int:
        return 0
