"""The engine's calls in spans and metrics: what they say, and that they say nothing of documents."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from opentelemetry.trace import SpanKind

from rag_contract.errors import IndexNotFound, Unavailable
from rag_retriever.engines.edge import EdgeCatalog
from rag_retriever.engines.instrumented import InstrumentedCatalog
from rag_retriever.index.filters import Scope
from rag_retriever.index.model import Query, SparseVector
from rag_retriever.index.ports import Catalog
from rag_retriever.search.service import Retriever, Search
from rag_retriever.telemetry.metrics import RetrieverMetrics
from tests.support.contracts.samples import SPEC, TEAM, chunk, document, put, vector
from tests.support.recording import Recorded, below, told, trace_id, words

MARK = "표식-7f3a9c"


@asynccontextmanager
async def traced(folder: Path, recorded: Recorded) -> AsyncIterator[Catalog]:
    metrics = RetrieverMetrics(recorded.metrics)
    async with EdgeCatalog(folder, background=False, metrics=metrics) as catalog:
        traced_catalog = InstrumentedCatalog(catalog, recorded.metrics.dependencies)
        await traced_catalog.create(SPEC)
        yield traced_catalog


def seconds(recorded: Recorded, operation: str, error: str = "") -> float:
    """How many calls the histogram has of this operation."""
    labels = f'{{error="{error}",operation="{operation}",system="qdrant"}}'
    return recorded.value(f"rag_dependency_duration_seconds_count{labels}")


async def test_a_search_is_two_spans_with_the_databases_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A detail that takes long, as on a busy machine, is a third span.
    monkeypatch.setattr("rag_retriever.engines.instrumented._DETAIL_SECONDS", 60.0)
    recorded = Recorded()
    async with traced(tmp_path, recorded) as catalog:
        await put(await catalog.open(""), document(passages=3))
        query = Query(vector(0), SparseVector((1,), (1.0,)))
        search = Search("", TEAM, query, SPEC.fingerprint)
        with recorded.telemetry.serving("Search", None, {}):
            assert (await Retriever(catalog).search(search)).hits
    spans = recorded.kept.spans
    assert [span.name for span in spans] == ["query_points", "retrieve", "Search"]
    assert all(below(span, spans[-1]) for span in spans[:-1])
    assert {span.kind for span in spans[:-1]} == {SpanKind.CLIENT}
    names = ("db.system.name", "db.operation.name", "db.collection.name")
    assert told(spans[0], *names) == ["qdrant", "query_points", "main"]
    assert told(spans[1], *names, "rag.points") == ["qdrant", "retrieve", "main", 3]


async def test_every_call_is_timed_by_its_operation(tmp_path: Path) -> None:
    recorded = Recorded()
    async with traced(tmp_path, recorded) as catalog:
        index = await catalog.open("")
        stored = await put(index, document(passages=2))
        await index.count(TEAM)
        await index.documents(TEAM, "", 10)
        await index.chunks(stored.key, 0, 10)
        await index.delete(stored.key)
    for operation in ("upsert", "publish", "count", "scroll", "retrieve", "delete"):
        assert seconds(recorded, operation) == 1, operation
    assert recorded.kept.spans == [], "these were no part of a call"


async def test_nothing_of_a_document_is_in_a_span_or_a_metric(tmp_path: Path) -> None:
    recorded = Recorded()
    async with traced(tmp_path, recorded) as catalog:
        index = await catalog.open("")
        with recorded.telemetry.serving("Upsert", None, {}):
            stored = document(MARK, tenant=MARK, collection=MARK, metadata={"key": MARK})
            await put(index, stored, [chunk(0, text=MARK)])
            scope = Scope(MARK, (MARK,))
            [hit] = (await index.candidates(scope, Query(vector(0), None), 5)).dense
            assert (await index.passages(scope, [hit.passage_id]))[0].chunk.text == MARK
            await index.document(stored.key)
            await index.delete(stored.key)
    spans = recorded.kept.spans
    assert len(spans) >= 5
    assert not any("7f3a9c" in words(span) for span in spans)
    assert not any(stored.key.point_id() in words(span) for span in spans)
    assert "7f3a9c" not in recorded.page()


async def test_an_engine_that_fails_is_in_the_span_and_the_histogram(tmp_path: Path) -> None:
    recorded = Recorded()
    async with traced(tmp_path, recorded) as catalog:
        index = await catalog.open("")
    # The engine is closed now, and refuses.
    with recorded.telemetry.serving("Search", None, {}), pytest.raises(Unavailable) as raised:
        await index.candidates(TEAM, Query(vector(0), None), 5)
    [span] = recorded.spans("query_points")
    assert told(span, "error.type") == [raised.value.reason]
    assert seconds(recorded, "query_points", raised.value.reason) == 1


async def test_an_unknown_index_is_no_failure_of_the_engine(tmp_path: Path) -> None:
    recorded = Recorded()
    async with traced(tmp_path, recorded) as catalog:
        with pytest.raises(IndexNotFound):
            await catalog.open("nothing")
    assert seconds(recorded, "open") == 1


async def test_optimizing_is_a_trace_of_its_own(tmp_path: Path) -> None:
    recorded = Recorded()
    recorded.use()
    async with traced(tmp_path, recorded) as catalog:
        await put(await catalog.open(""), document(passages=5))
        with recorded.telemetry.serving("OptimizeIndex", None, {}):
            await catalog.optimize("")
    [span], [call] = recorded.spans("optimize"), recorded.spans("OptimizeIndex")
    assert span.parent is None
    assert trace_id(span) != trace_id(call)
    assert told(span, "db.collection.name", "rag.points") == ["main", 6]
    assert recorded.value('rag_index_optimize_duration_seconds_count{outcome="ok"}') == 1


async def test_leaving_while_optimizing_counts_as_cancelled(tmp_path: Path) -> None:
    recorded = Recorded()
    recorded.use()
    async with traced(tmp_path, recorded) as catalog:
        await put(await catalog.open(""), document(passages=5))
        optimizing = asyncio.create_task(catalog.optimize(""))
        await put(await catalog.open(""), document("other"))
    await asyncio.gather(optimizing, return_exceptions=True)
    [span] = recorded.spans("optimize")
    assert told(span, "error.type") == ["CANCELLED"]
    assert recorded.value('rag_index_optimize_duration_seconds_count{outcome="cancelled"}') == 1
