"""The retriever's work on the real embedded engine: search with reasons, and documents replaced whole."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from rag_contract import errors
from rag_retriever.engines.edge import EdgeCatalog
from rag_retriever.engines.instrumented import InstrumentedCatalog
from rag_retriever.index.filters import Condition, Filter, OneOf, Scope
from rag_retriever.index.model import Document, Query, SparseVector, VectorChunk
from rag_retriever.index.ports import Catalog, Outcome, Published
from rag_retriever.search.fusion import Method
from rag_retriever.search.service import Retriever, Search
from tests.support.contracts.samples import SPEC, TEAM, chunk, document, vector
from tests.support.recording import Recorded


@pytest_asyncio.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    async with EdgeCatalog(tmp_path) as opened:
        await opened.create(SPEC)
        yield opened


@pytest.fixture
def retriever(catalog: Catalog) -> Retriever:
    return Retriever(catalog)


async def batches(
    *chunks: VectorChunk, error: Exception | None = None
) -> AsyncIterator[Sequence[VectorChunk]]:
    for one in chunks:
        yield [one]
    if error:
        raise error


async def put(retriever: Retriever, of: Document, *chunks: VectorChunk) -> Published:
    return await retriever.upsert("", of, SPEC.fingerprint, batches(*chunks))


def search(**given: object) -> Search:
    query = Query(vector(0), SparseVector((1, 2), (1.0, 1.0)))
    basis = Search("", TEAM, query, SPEC.fingerprint, terms={1: "하나", 2: "둘"})
    return replace(basis, **given)  # type: ignore[arg-type]


async def found(retriever: Retriever, **given: object) -> list[str]:
    return [hit.passage.chunk.text for hit in (await retriever.search(search(**given))).hits]


async def test_a_stored_document_has_the_time_at_which_it_became_searchable(
    retriever: Retriever,
) -> None:
    inputs = document()
    stored = (await put(retriever, inputs, chunk(0))).document
    assert stored.updated > inputs.updated
    assert (await retriever.document("", inputs.key)).updated == stored.updated


@pytest.mark.parametrize(
    ("announced", "ordinals"),
    [(2, (0,)), (1, (0, 1)), (2, (1, 0)), (2, (0, 0)), (1, (1,)), (1, ())],
)
async def test_chunks_that_are_not_what_is_announced_leave_nothing(
    retriever: Retriever, announced: int, ordinals: tuple[int, ...]
) -> None:
    of = document(passages=announced)
    with pytest.raises(errors.InvalidArgument):
        await put(retriever, of, *(chunk(ordinal) for ordinal in ordinals))
    assert await retriever.count("", TEAM) == (0, 0)
    assert await found(retriever) == []


async def test_chunks_that_come_one_by_one_are_stored_together(catalog: Catalog) -> None:
    recorded = Recorded()
    retriever = Retriever(InstrumentedCatalog(catalog, recorded.metrics.dependencies))
    await put(retriever, document(passages=300), *(chunk(ordinal) for ordinal in range(300)))
    assert await retriever.count("", TEAM) == (1, 300)
    assert (
        recorded.value(
            'rag_dependency_duration_seconds_count{error="",operation="upsert",system="qdrant"}'
        )
        == 3
    )


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_a_stream_that_breaks_off_leaves_the_former_version(
    retriever: Retriever, version: str
) -> None:
    await put(retriever, document(), chunk(0, text="첫째"))
    broken = batches(chunk(0, text="첫째"), error=errors.DependencyDown("unavailable"))
    with pytest.raises(errors.Unavailable):
        await retriever.upsert("", document(version=version), SPEC.fingerprint, broken)
    assert (await retriever.document("", document().key)).version == "v1"
    assert await found(retriever) == ["첫째"]
    await put(retriever, document(version="v2"), chunk(0, text="둘째"))
    assert await found(retriever) == ["둘째"]


@pytest.mark.parametrize("refused", [errors.DependencyDown("no engine"), RuntimeError("damaged")])
@pytest.mark.parametrize(
    "cause",
    [errors.DocumentConflict("another"), errors.DependencyDown("embedder"), ValueError("other")],
)
async def test_an_upload_fails_for_its_own_reason_though_its_chunks_cannot_be_discarded(
    cause: Exception,
    refused: Exception,
    retriever: Retriever,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await _refuse_to_discard(retriever, refused, monkeypatch)
    with pytest.raises(type(cause)) as raised:
        await retriever.upsert("", document(), SPEC.fingerprint, batches(chunk(0), error=cause))
    assert raised.value is cause
    expected = f"staged chunks were not discarded: {type(refused).__name__}"
    assert [one.getMessage() for one in caplog.records] == [expected]


async def test_an_upload_that_is_cancelled_stays_so_though_its_chunks_cannot_be_discarded(
    retriever: Retriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _refuse_to_discard(retriever, errors.DependencyDown("no engine"), monkeypatch)
    arrived = asyncio.Event()

    async def endless() -> AsyncIterator[Sequence[VectorChunk]]:
        yield [chunk(0)]
        arrived.set()
        await asyncio.Event().wait()

    uploading = asyncio.create_task(retriever.upsert("", document(), SPEC.fingerprint, endless()))
    await arrived.wait()
    uploading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await uploading


async def _refuse_to_discard(
    retriever: Retriever, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def discard(index: object, document: Document) -> None:
        raise error

    index = await retriever.catalog.open("")
    monkeypatch.setattr(type(index), "discard", discard)


async def test_of_uploads_of_one_version_one_that_breaks_off_leaves_the_others_their_chunks(
    retriever: Retriever,
) -> None:
    """They share staged chunks, which the last of them to fail removes."""
    arrived, go = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[Sequence[VectorChunk]]:
        yield [chunk(0)]
        arrived.set()
        await go.wait()
        yield [chunk(1)]

    of = document(passages=2)
    waiting = asyncio.create_task(retriever.upsert("", of, SPEC.fingerprint, slow()))
    await arrived.wait()
    broken = batches(chunk(0), error=errors.DependencyDown("away"))
    with pytest.raises(errors.Unavailable):
        await retriever.upsert("", of, SPEC.fingerprint, broken)
    go.set()
    assert (await waiting).outcome is Outcome.CREATED
    assert await retriever.count("", TEAM) == (1, 2)


@pytest.mark.parametrize("present", [False, True])
async def test_of_uploads_of_the_same_version_at_once_one_changes_the_document(
    retriever: Retriever, present: bool
) -> None:
    if present:
        await put(retriever, document(version="v1"), chunk(0))
    of = document(version="v2", passages=2)
    done = await asyncio.gather(*(put(retriever, of, chunk(0), chunk(1)) for _ in range(8)))
    outcomes = [one.outcome for one in done]
    changed = Outcome.REPLACED if present else Outcome.CREATED
    assert (outcomes.count(changed), outcomes.count(Outcome.UNCHANGED)) == (1, 7)
    assert len({one.document.updated for one in done}) == 1


async def test_vectors_of_another_model_are_refused_for_writing_and_for_searching(
    retriever: Retriever,
) -> None:
    with pytest.raises(errors.EmbeddingMismatch) as raised:
        await retriever.upsert("", document(), "other", batches(chunk(0)))
    assert raised.value.metadata["index_fingerprint"] == SPEC.fingerprint
    with pytest.raises(errors.EmbeddingMismatch):
        await retriever.search(search(fingerprint="other"))


async def test_chunks_beyond_the_last_are_none_of_a_document_that_is_there(
    retriever: Retriever,
) -> None:
    await put(retriever, document(), chunk(0))
    assert await retriever.chunks("", document().key, 5, 10) == []


async def test_best_passages_come_first_and_no_more_than_wanted(retriever: Retriever) -> None:
    of = document(passages=5)
    await put(retriever, of, *(chunk(n, terms={n + 1: 1.0}, text=f"문단 {n}") for n in range(5)))
    result = await retriever.search(search(top_k=3))
    assert len(result.hits) == 3
    scores = [hit.fused.score for hit in result.hits]
    assert scores == sorted(scores, reverse=True)
    assert set(result.seconds) == {"dense", "sparse", "fusion", "payload"}


@pytest.mark.parametrize("method", Method)
async def test_a_least_score_leaves_out_what_is_below(retriever: Retriever, method: Method) -> None:
    of = document(passages=5)
    await put(retriever, of, *(chunk(n, terms={n + 1: 1.0}) for n in range(5)))
    everything = (await retriever.search(search(method=method))).hits
    least = everything[1].fused.score
    kept = (await retriever.search(search(method=method, min_score=least))).hits
    assert [hit.passage.passage_id for hit in kept] == [
        hit.passage.passage_id for hit in everything if hit.fused.score >= least
    ]


async def test_explaining_spells_the_terms_that_a_passage_holds(retriever: Retriever) -> None:
    await put(
        retriever, document(passages=2), chunk(0, terms={2: 1.0, 9: 1.0}), chunk(1, terms={9: 1.0})
    )
    hits = (await retriever.search(search(explain=True))).hits
    assert {hit.passage.chunk.ordinal: hit.matched for hit in hits} == {0: ("둘",), 1: ()}
    plain = (await retriever.search(search())).hits
    assert all(hit.matched == () for hit in plain)


@pytest.mark.parametrize(
    "query",
    [
        Query(vector(0), None),
        Query(None, SparseVector((1,), (1.0,))),
        Query(vector(0), SparseVector((), ())),
        Query(vector(0), SparseVector((77,), (1.0,))),
    ],
)
async def test_one_list_is_enough(retriever: Retriever, query: Query) -> None:
    await put(retriever, document(), chunk(0, text="하나"))
    assert await found(retriever, query=query) == ["하나"]


class Interrupted:
    """An index in which somebody replaces the document between finding its passages and reading them."""

    def __init__(self, index: Any, replace_it: Callable[[], Awaitable[object]]) -> None:
        self._index = index
        self._replace = [replace_it]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    async def candidates(self, *given: Any) -> Any:
        found = await self._index.candidates(*given)
        if self._replace:
            await self._replace.pop()()
        return found


async def test_a_document_replaced_in_the_middle_of_a_search_is_found_in_its_new_version(
    retriever: Retriever, catalog: Catalog
) -> None:
    await put(retriever, document(), chunk(0, text="첫째"))

    async def later() -> object:
        return await put(retriever, document(version="v2"), chunk(0, text="둘째"))

    interrupted = Interrupted(await catalog.open(""), later)

    class Opening:
        async def open(self, _name: str, _max_age: float = 0.0) -> Any:
            return interrupted

    assert await found(Retriever(Opening())) == ["둘째"]  # type: ignore[arg-type]


# Required collections


@pytest.mark.parametrize(
    ("required", "unknown"),
    [
        (("nowhere",), "nowhere"),
        (("wiki", "nowhere"), "nowhere"),
        (("nowhere", "wiki"), "nowhere"),
        (("wiki", "other-tenants", "nowhere"), "other-tenants"),
    ],
)
async def test_an_unknown_collection_is_an_error_beside_known_ones_too(
    retriever: Retriever, required: tuple[str, ...], unknown: str
) -> None:
    await put(retriever, document(), chunk(0))
    await put(retriever, document(tenant="rival", collection="other-tenants"), chunk(0))
    scope = Scope("team", required)
    with pytest.raises(errors.CollectionNotFound) as raised:
        await retriever.search(search(scope=scope, required_collections=required))
    assert raised.value.metadata["collection"] == unknown
    with pytest.raises(errors.CollectionNotFound) as raised:
        await retriever.count("", scope, required)
    assert raised.value.metadata["collection"] == unknown


async def test_a_known_collection_in_which_nothing_is_found_is_no_error(
    retriever: Retriever,
) -> None:
    await put(retriever, document("a"), chunk(0))
    await put(retriever, document("b", collection="hr"), chunk(0, terms={9: 1.0}))
    nothing = Filter(must=(Condition("team", OneOf(("nobody",))),))
    required = ("wiki", "hr")
    for scope in (Scope("team", required), Scope("team", required, nothing)):
        query = Query(None, SparseVector((1,), (1.0,)))
        result = await retriever.search(
            search(scope=scope, query=query, required_collections=required)
        )
        assert len(result.hits) == (0 if scope.filter is nothing else 1)


async def test_only_collections_without_a_hit_are_looked_up_and_all_of_them_at_once(
    catalog: Catalog,
) -> None:
    recorded = Recorded()
    retriever = Retriever(InstrumentedCatalog(catalog, recorded.metrics.dependencies))
    names = tuple(f"c{number}" for number in range(5))
    for name in names:
        await put(retriever, document(name, collection=name), chunk(0))
    lookups = (
        'rag_dependency_duration_seconds_count{error="",operation="find_collections",'
        'system="qdrant"}'
    )
    await retriever.search(search(scope=Scope("team", names), required_collections=names))
    assert lookups not in recorded.page()
    nothing = Filter(must=(Condition("team", OneOf(("nobody",))),))
    scope = Scope("team", names, nothing)
    await retriever.search(search(scope=scope, required_collections=names))
    assert recorded.value(lookups) == 1
