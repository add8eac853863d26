"""The public servicers in front of neighbours that take anything."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

from google.protobuf.message import Message

from rag.gateway.v1 import answer_service_pb2
from rag.types.v1.document_pb2 import Document
from rag.types.v1.passage_pb2 import Passage
from rag_common.context import Principal
from rag_common.metrics import Metrics
from rag_gateway.answer_servicer import AnswerServicer
from rag_gateway.capabilities import Capabilities, limits
from rag_gateway.core import Answering, Hits, Vectors
from rag_gateway.document_servicer import DocumentServicer, SizeLimits
from rag_gateway.ingestion import Ingesting
from rag_gateway.instruments import Instruments
from rag_gateway.measures import Measures
from rag_gateway.question import Question, Retrieval
from rag_gateway.turns import Turns
from rag_retriever import filtering
from tests.gateway.fakes import (
    FakeEmbedding,
    FakeSearching,
    FakeSplitting,
    FakeStoring,
    FakeWriting,
    scored,
)

Work = Callable[[], Awaitable[Any]]


class Reading(FakeSearching):
    """Finds passages by a filter that the retriever could read."""

    async def search(self, tenant: str, vectors: Vectors, options: Retrieval) -> Hits:
        if options.filter:
            filtering.parse(options.filter)
        return await super().search(tenant, vectors, options)


@dataclass
class FakeShelf:
    """Holds one document."""

    async def get(self, tenant: str, collection: str, document_id: str) -> Document | None:
        return Document(document_id=document_id) if document_id == "default" else None

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


class FakeModels:
    """Names one model of each kind."""

    async def models(self) -> list[str]:
        return ["fake"]

    async def describe(self) -> tuple[Any, str]:
        return answer_service_pb2.EmbeddingModel(model="fake"), ""


class OpenDoor:
    """Lets every caller do everything, as often as it likes."""

    def opened(self, method: str, by: Principal, asked: Sequence[str]) -> tuple[str, ...] | None:
        return tuple(asked) or None

    def opened_one(self, method: str, by: Principal, asked: str) -> str:
        return asked

    def doing(self, event: object, method: str, target: str) -> AbstractContextManager[None]:
        return nullcontext()

    @asynccontextmanager
    async def tokens(self, by: Principal, question: Question) -> AsyncIterator["OpenDoor.Spent"]:
        yield OpenDoor.Spent()

    async def once(
        self, method: str, by: Principal, request: Message, work: Work, reply: object, *parts: bytes
    ) -> Any:
        return await work()

    def away(self) -> Sequence[str]:
        return ()

    class Spent:
        def tokens(self, used: int) -> None:
            """Counts nothing."""


def servicers() -> dict[str, Any]:
    """Both public servicers by the service's name, in front of neighbours that take anything."""
    embedding, models, door = FakeEmbedding([0.5]), FakeModels(), cast(Any, OpenDoor())
    answering = Answering(embedding, Reading([scored("a")]), FakeWriting(), Turns(6))
    bounds = limits(document_bytes=1 << 20, upload_bytes=1 << 26, deadline=60)
    ingesting = Ingesting(FakeSplitting(), embedding, FakeStoring(), slots=1)
    measures = Measures(Instruments(Metrics()), lambda _principal: "", capture=True)
    return {
        "AnswerService": AnswerServicer(
            answering,
            Capabilities(models, models, bounds, ""),
            door,
            measures,
            region="",
            heartbeat=60,
        ),
        "DocumentService": DocumentServicer(
            ingesting, FakeShelf(), door, measures, SizeLimits(1 << 20, 1 << 26)
        ),
    }
