"""The retriever's work on the real embedded engine: search with reasons, and documents replaced whole."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from rag_common import errors
from rag_retriever.adapters.edge import EdgeCatalog
from rag_retriever.core import Retriever, Search
from rag_retriever.filters import Scope
from rag_retriever.fusion import Method
from rag_retriever.passages import Document, Query, SparseVector, VectorChunk
from rag_retriever.ports import Catalog
from tests.contracts.samples import SPEC, TEAM, chunk, document, vector
from tests.retriever.service import Here


@pytest_asyncio.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    async with EdgeCatalog(tmp_path) as opened:
        await opened.create(SPEC)
        yield opened


@pytest.fixture
def retriever(catalog: Catalog) -> Retriever:
    return Retriever(catalog, Here())


async def batches(
    *chunks: VectorChunk, error: Exception | None = None
) -> AsyncIterator[Sequence[VectorChunk]]:
    for one in chunks:
        yield [one]
    if error:
        raise error


async def put(retriever: Retriever, of: Document, *chunks: VectorChunk) -> tuple[Document, bool]:
    return await retriever.upsert("", of, SPEC.fingerprint, batches(*chunks))


def search(**given: object) -> Search:
    query = Query(vector(0), SparseVector((1, 2), (1.0, 1.0)))
    basis = Search("", TEAM, query, SPEC.fingerprint, terms={1: "하나", 2: "둘"})
    return replace(basis, **given)  # type: ignore[arg-type]


async def found(retriever: Retriever, **given: object) -> list[str]:
    return [hit.passage.chunk.text for hit in (await retriever.search(search(**given))).hits]


async def test_a_document_is_new_and_then_takes_the_place_of_its_former_version(
    retriever: Retriever,
) -> None:
    _, replaced = await put(retriever, document(), chunk(0, text="첫째"))
    assert not replaced
    stored, replaced = await put(retriever, document(version="v2"), chunk(0, text="둘째"))
    assert replaced
    assert stored.version == "v2"
    assert await found(retriever) == ["둘째"]


async def test_a_stored_document_has_the_time_at_which_it_became_searchable(
    retriever: Retriever,
) -> None:
    given = document()
    stored, _ = await put(retriever, given, chunk(0))
    assert stored.updated > given.updated
    assert (await retriever.document("", given.key)).updated == stored.updated


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


async def test_a_stream_that_breaks_off_leaves_the_former_version(retriever: Retriever) -> None:
    await put(retriever, document(), chunk(0, text="첫째"))
    broken = batches(chunk(0, text="둘째"), error=errors.Unavailable("away"))
    with pytest.raises(errors.Unavailable):
        await retriever.upsert("", document(version="v2"), SPEC.fingerprint, broken)
    assert await found(retriever) == ["첫째"]
    assert (await retriever.document("", document().key)).version == "v1"
    await put(retriever, document(version="v2"), chunk(0, text="둘째"))
    assert await found(retriever) == ["둘째"]


async def test_the_same_version_that_breaks_off_leaves_itself(retriever: Retriever) -> None:
    await put(retriever, document(), chunk(0, text="첫째"))
    broken = batches(chunk(0, text="첫째"), error=errors.Unavailable("away"))
    with pytest.raises(errors.Unavailable):
        await retriever.upsert("", document(), SPEC.fingerprint, broken)
    assert await found(retriever) == ["첫째"]


async def test_vectors_of_another_model_are_refused_for_writing_and_for_searching(
    retriever: Retriever,
) -> None:
    with pytest.raises(errors.EmbeddingMismatch) as raised:
        await retriever.upsert("", document(), "other", batches(chunk(0)))
    assert raised.value.metadata["index_fingerprint"] == SPEC.fingerprint
    with pytest.raises(errors.EmbeddingMismatch):
        await retriever.search(search(fingerprint="other"))


async def test_a_vector_of_another_length_is_refused(retriever: Retriever) -> None:
    with pytest.raises(errors.InvalidArgument):
        await retriever.search(search(query=Query(b"1234", None)))


async def test_an_index_that_is_not_there_is_not_found(retriever: Retriever) -> None:
    with pytest.raises(errors.IndexNotFound):
        await retriever.search(search(index="other"))
    with pytest.raises(errors.IndexNotFound):
        await retriever.upsert("other", document(), SPEC.fingerprint, batches(chunk(0)))


async def test_a_document_that_is_not_there_is_not_found(retriever: Retriever) -> None:
    key = document().key
    for call in (
        retriever.document("", key),
        retriever.delete("", key),
        retriever.chunks("", key, 0, 10),
    ):
        with pytest.raises(errors.NotFound):
            await call


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
    assert [hit.passage.id for hit in kept] == [
        hit.passage.id for hit in everything if hit.fused.score >= least
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


async def test_nothing_is_found_in_an_empty_index(retriever: Retriever) -> None:
    assert await found(retriever) == []


async def test_another_tenant_sees_nothing(retriever: Retriever) -> None:
    await put(retriever, document(), chunk(0))
    other = Scope("other")
    assert await found(retriever, scope=other) == []
    assert await retriever.count("", other) == (0, 0)
    assert (await retriever.documents("", other, "", 10))[0] == []


async def test_every_write_gives_the_index_another_version(retriever: Retriever) -> None:
    versions = [(await retriever.search(search())).index_version]
    await put(retriever, document(), chunk(0))
    versions.append((await retriever.search(search())).index_version)
    await retriever.delete("", document().key)
    versions.append((await retriever.search(search())).index_version)
    assert len(set(versions)) == 3


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
        async def open(self, _name: str) -> Any:
            return interrupted

    assert await found(Retriever(Opening(), Here())) == ["둘째"]  # type: ignore[arg-type]
