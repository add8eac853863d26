"""What the gateway asks of a real retriever: readiness reads and makes nothing, a search is one call."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from rag.retriever.v1 import retriever_service_pb2 as pb
from rag.retriever.v1.retriever_service_pb2_grpc import add_RetrieverServiceServicer_to_server
from rag.types.v1.document_pb2 import Document
from rag_common.grpc.bootstrap import Service, serving
from rag_common.grpc.peer import Peer, open_peer
from rag_common.grpc.readiness import Check, HealthChecks, Readiness
from rag_common.observability.setup import Telemetry
from rag_contract import errors
from rag_gateway.answering.model import Retrieval
from rag_gateway.answering.service import Vectors
from rag_gateway.clients.index_check import IndexCompatibilityCheck, creating_index
from rag_gateway.clients.retriever import Retriever as RemoteRetriever
from rag_gateway.telemetry.metrics import GatewayMetrics
from rag_ingestor.clients.retriever import Retriever as RemoteDocuments
from rag_local.program import free_port
from rag_retriever.api.servicer import RetrieverServicer
from rag_retriever.engines.edge import EdgeCatalog
from rag_retriever.search.service import Retriever
from tests.support.recording import Recorded
from tests.support.retriever.service import (
    DIMENSIONS,
    FINGERPRINT,
    chunk,
    dense,
    header,
    parts,
)
from tests.support.retriever.service import sparse as sparse_vector
from tests.support.rpc import Settings
from tests.support.waiting import until

SERVICE = "rag.retriever.v1.RetrieverService"

Method = Callable[[Any, Any], Awaitable[Any]]


def counted(method: Method, calls: Counter[str]) -> Method:
    """The method of a servicer, which also counts its calls."""

    async def call(request: Any, context: Any) -> Any:
        calls[method.__name__] += 1
        return await method(request, context)

    return call


@dataclass(frozen=True)
class Model:
    dimensions: int = DIMENSIONS
    fingerprint: str = FINGERPRINT


@dataclass
class Embedding:
    """An embedder with this model, which first fails in these ways, one after the other."""

    running: Model = Model()
    failures: Sequence[Exception] = ()

    async def model(self) -> Model:
        if self.failures:
            failure, *self.failures = self.failures
            raise failure
        return self.running


class Neighbour:
    """A retriever that can go away and come back, and the gateway's side of its connection."""

    def __init__(self) -> None:
        self._server = AsyncExitStack()
        self._port = free_port()
        self.calls: Counter[str] = Counter()
        self.catalog: EdgeCatalog
        self.peer: Peer
        self.remote: RemoteRetriever
        self.documents: RemoteDocuments

    async def start(self, folder: Path) -> None:
        """Serve the indexes in this folder."""
        self.catalog = await self._server.enter_async_context(EdgeCatalog(folder, background=False))
        servicer = RetrieverServicer(Retriever(self.catalog))
        for name in ("Search", "Count", "GetIndex", "CreateIndex"):
            setattr(servicer, name, counted(getattr(servicer, name), self.calls))
        service = Service(SERVICE, add_RetrieverServiceServicer_to_server, servicer)
        settings = Settings(port=self._port)
        await self._server.enter_async_context(serving([service], settings, Telemetry()))

    async def stop(self) -> None:
        """Serve no more."""
        await self._server.aclose()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        target = f"127.0.0.1:{self._port}"
        async with open_peer(
            "retriever", target, Telemetry(), timeout=5, max_message_bytes=2**24
        ) as self.peer:
            self.remote = RemoteRetriever(self.peer)
            self.documents = RemoteDocuments(self.peer, stream_timeout=30)
            yield

    async def create_index(self, name: str = "passages", fingerprint: str = FINGERPRINT) -> None:
        await self.remote.create_index(name, DIMENSIONS, fingerprint)

    async def index_names(self) -> list[str]:
        return [info.spec.name for info in await self.catalog.list_indexes()]


@asynccontextmanager
async def neighbour(folder: Path) -> AsyncIterator[Neighbour]:
    retriever = Neighbour()
    try:
        await retriever.start(folder)
        async with retriever.connected():
            yield retriever
    finally:
        await retriever.stop()


@pytest.fixture
async def retriever(tmp_path: Path) -> AsyncIterator[Neighbour]:
    async with neighbour(tmp_path) as retriever:
        yield retriever


def index_of(
    retriever: Neighbour,
    embedding: Embedding | None = None,
    recorded: Recorded | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> IndexCompatibilityCheck:
    gauge = GatewayMetrics((recorded or Recorded()).metrics).index_compatible
    return IndexCompatibilityCheck(
        embedding or Embedding(), retriever.remote, "passages", gauge, sleep
    )


# Readiness


async def test_readiness_creates_no_index(retriever: Neighbour) -> None:
    index = index_of(retriever)
    for _ in range(3):
        with pytest.raises(errors.IndexNotFound):
            await index.ready()
    assert retriever.calls == {"GetIndex": 3}
    assert await retriever.index_names() == []


async def test_the_start_creates_the_index_when_a_retriever_that_comes_later_is_there(
    retriever: Neighbour, tmp_path: Path
) -> None:
    recorded = Recorded()
    await retriever.stop()
    index = index_of(retriever, recorded=recorded)
    with capture_logs() as lines:
        async with creating_index(index):
            await until(lambda: lines, "that the retriever is unavailable is logged")
            await retriever.start(tmp_path)
            await until(lambda: _ready(index.ready), "the index is ready")
    events = [line["event"] for line in lines if line["event"].startswith("index_")]
    assert events == ["index_not_checked", "index_created"]
    assert recorded.value("rag_index_fits") == 1
    assert retriever.calls["CreateIndex"] == 1
    [info] = await retriever.catalog.list_indexes()
    assert (info.spec.name, info.spec.dimensions) == ("passages", DIMENSIONS)


DOWN, LOADING = errors.DependencyDown("down"), errors.ModelLoading("the model is being loaded")
REFUSED, MISMATCH = errors.TokenInvalid("who is it?"), errors.EmbeddingMismatch("of another model")
BROKEN = RuntimeError("a defect")


@pytest.mark.parametrize(
    ("failures", "delays", "logged"),
    [
        ([DOWN] * 6, [0.5] * 6, [("info", "DEPENDENCY_DOWN")]),
        ([LOADING, DOWN], [0.5] * 2, [("info", "MODEL_LOADING"), ("info", "DEPENDENCY_DOWN")]),
        ([REFUSED] * 8, [0.5, 1, 2, 4, 8, 16, 30, 30], [("warning", "TOKEN_INVALID")]),
        ([MISMATCH] * 2, [0.5, 1], [("warning", "EMBEDDING_MISMATCH")]),
        ([BROKEN] * 3, [0.5, 1, 2], [("error", "RuntimeError")]),
        (
            [REFUSED, BROKEN, REFUSED, BROKEN, REFUSED, DOWN, DOWN],
            [0.5, 1, 2, 4, 8, 0.5, 0.5],
            [("warning", "TOKEN_INVALID"), ("error", "RuntimeError")] * 2
            + [("warning", "TOKEN_INVALID"), ("info", "DEPENDENCY_DOWN")],
        ),
    ],
)
async def test_what_keeps_the_first_index_from_being_created_is_logged_and_retried_soon_or_ever_more_rarely(
    retriever: Neighbour,
    failures: list[Exception],
    delays: list[float],
    logged: list[tuple[str, str]],
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    index = index_of(retriever, Embedding(failures=failures), sleep=sleep)
    with capture_logs() as lines:
        await index.create_if_missing()
    assert await retriever.index_names() == ["passages"]
    assert slept == delays
    reasons = [(line["log_level"], line["reason"]) for line in lines if "reason" in line]
    assert [one for one in reasons if one[1] != "INDEX_NOT_FOUND"] == logged


async def test_an_index_that_is_lost_later_is_not_created_again(
    retriever: Neighbour, tmp_path: Path
) -> None:
    async with creating_index(index_of(retriever)):
        await until(lambda: _ready(index_of(retriever).ready), "the index is ready")
        await retriever.stop()
        await retriever.start(tmp_path / "empty")
        index = index_of(retriever)
        await until(lambda: _without_index(index.ready), "the retriever answers")
        readiness = Readiness(_Nobody(), [], HealthChecks({"index": index.ready}, {}))
        for _ in range(3):
            await readiness.check()
            assert not readiness.serving
        assert readiness.results["index"].error == "INDEX_NOT_FOUND"
    assert retriever.calls["CreateIndex"] == 1
    assert await retriever.index_names() == []


@pytest.mark.parametrize("other", [Model(fingerprint="other"), Model(dimensions=16)])
async def test_an_index_of_another_model_is_reported_and_left_alone(
    retriever: Neighbour, other: Model
) -> None:
    await retriever.create_index()
    recorded = Recorded()
    index = index_of(retriever, Embedding(other), recorded)
    await index.create_if_missing()
    with pytest.raises(errors.EmbeddingMismatch):
        await index.ready()
    assert recorded.value("rag_index_fits") == 0
    assert retriever.calls["CreateIndex"] == 1


async def test_the_index_that_searches_use_is_the_one_that_must_fit(retriever: Neighbour) -> None:
    await retriever.create_index(fingerprint="old")
    await retriever.create_index("next")
    with pytest.raises(errors.EmbeddingMismatch):
        await index_of(retriever).ready()
    await retriever.catalog.switch("next")
    await retriever.catalog.drop("passages")
    index = index_of(retriever)
    await index.create_if_missing()
    await index.ready()
    assert await retriever.index_names() == ["next"]


async def _problem(check: Check) -> str:
    """The reason why it fails; empty if it does not."""
    try:
        await check()
    except errors.AppError as error:
        return error.reason
    return ""


async def _ready(check: Check) -> bool:
    return await _problem(check) == ""


async def _without_index(check: Check) -> bool:
    return await _problem(check) == "INDEX_NOT_FOUND"


class _Nobody:
    """Where a status is published that nobody reads."""

    async def set(self, name: str, status: int) -> None:
        return None

    async def enter_graceful_shutdown(self) -> None:
        return None


# Collections


MANY = [f"c{number}" for number in range(8)]


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Neighbour]:
    """Each collection has one document of the tenant `team`, and `theirs` one of another tenant."""
    async with neighbour(tmp_path_factory.mktemp("filled")) as retriever:
        await retriever.create_index()
        for name in ("a", "b", *MANY):
            await _put(retriever, "team", name)
        await _put(retriever, "rival", "theirs")
        yield retriever


@pytest.fixture
def filled(shared: Neighbour) -> Neighbour:
    shared.calls.clear()
    return shared


async def _put(retriever: Neighbour, tenant: str, collection: str) -> None:
    head = header(tenant_id=tenant)
    head.document.collection = collection
    stub = retriever.remote._stub
    await retriever.peer.upload(stub.UpsertChunks, _stream(*parts(head, chunk(0))))


async def _stream(*messages: pb.UpsertChunksRequest) -> AsyncIterator[pb.UpsertChunksRequest]:
    for message in messages:
        yield message


async def _search(retriever: Neighbour, *collections: str, term: int = 1) -> list[str]:
    """The collections of the results; a term of 99 is in no passage."""
    vectors = Vectors(dense(0) if term == 1 else None, sparse_vector(term), FINGERPRINT, {})
    options = Retrieval(collections=collections, named=collections)
    hits = await retriever.remote.search("team", vectors, options)
    return [hit.passage.collection for hit in hits.passages]


@pytest.mark.parametrize(("term", "results"), [(1, ["a", "b", *MANY]), (99, [])])
async def test_a_search_of_known_collections_is_one_call(
    filled: Neighbour, term: int, results: list[str]
) -> None:
    assert sorted(await _search(filled, "a", "b", *MANY, term=term)) == sorted(results)
    assert filled.calls == {"Search": 1}


@pytest.mark.parametrize("term", [1, 99], ids=["with hits", "without hits"])
@pytest.mark.parametrize(
    ("collections", "unknown"),
    [
        (("nowhere",), "nowhere"),
        (("nowhere", "a", "b"), "nowhere"),
        (("a", "theirs"), "theirs"),
        (("없음", "b", "nowhere"), "없음"),
    ],
)
async def test_an_unknown_collection_is_named_and_the_known_ones_do_not_hide_it(
    filled: Neighbour, collections: tuple[str, ...], unknown: str, term: int
) -> None:
    with pytest.raises(errors.CollectionNotFound) as raised:
        await _search(filled, *collections, term=term)
    assert raised.value.metadata["collection"] == unknown
    assert filled.calls == {"Search": 1}


async def test_collections_that_nobody_named_need_not_exist(filled: Neighbour) -> None:
    vectors = Vectors(dense(0), None, FINGERPRINT, {})
    options = Retrieval(collections=("a", "granted-but-empty"))
    hits = await filled.remote.search("team", vectors, options)
    assert len(hits.passages) == 1


@pytest.mark.parametrize(
    ("tenant", "collection", "document_id", "passages", "complete"),
    [
        ("team", "a", "doc", 1, True),
        ("team", "a", "doc", 2, False),
        ("team", "theirs", "doc", 1, False),
        ("team", "a", "elsewhere", 1, False),
        ("rival", "a", "doc", 1, False),
    ],
)
async def test_a_document_is_complete_if_searches_find_as_many_passages_as_it_has(
    filled: Neighbour, tenant: str, collection: str, document_id: str, passages: int, complete: bool
) -> None:
    document = Document(collection=collection, document_id=document_id, passage_count=passages)
    assert await filled.documents.is_complete(tenant, document) is complete
    assert filled.calls == {"Count": 1}
