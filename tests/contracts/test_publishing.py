"""The contract of an index: one version of a document is seen, whole, whatever else goes on."""

import asyncio

import pytest

from rag_common.errors import Aborted
from rag_retriever.passages import Query
from rag_retriever.ports import Index
from tests.contracts.samples import TEAM, chunk, document, found, put, vector


async def test_what_is_staged_is_not_seen(index: Index) -> None:
    staged = document(passages=2)
    await index.stage(staged, [chunk(0), chunk(1)])
    assert await found(index) == set()
    assert await index.count(TEAM) == (0, 0)
    assert await index.document(staged.key) is None
    assert await index.documents(TEAM, "", 10) == ([], "")
    assert await index.chunks(staged.key, 0, 10) == []
    assert await index.passages(TEAM, [staged.key.point_id("v1", 0)]) == []
    assert await index.sparse_vectors(TEAM, [staged.key.point_id("v1", 0)]) == {}


async def test_publishing_replaces_the_former_version(index: Index) -> None:
    await put(index, document(version="v1", passages=3))
    second = await put(index, document(version="v2", passages=2))
    passages = await index.chunks(second.key, 0, 10)
    assert [(one.document.version, one.chunk.ordinal) for one in passages] == [("v2", 0), ("v2", 1)]
    assert await index.count(TEAM) == (1, 2)
    assert len(await found(index)) == 2


async def test_publishing_again_changes_nothing(index: Index) -> None:
    stored = await put(index, document(passages=2))
    before = await found(index)
    await index.publish(stored)
    assert await found(index) == before
    assert await index.document(stored.key) == stored


async def test_staging_a_published_version_again_hides_nothing(index: Index) -> None:
    stored = await put(index, document(passages=2))
    await index.stage(stored, [chunk(0), chunk(1)])
    assert len(await found(index)) == 2
    await index.discard(stored)
    assert await index.count(TEAM) == (1, 2)


async def test_a_version_whose_chunks_are_gone_is_not_published(index: Index) -> None:
    first, second = document(version="v1", passages=2), document(version="v2", passages=2)
    await index.stage(second, [chunk(0)])
    await put(index, first)
    await index.stage(second, [chunk(1)])
    with pytest.raises(Aborted):
        await index.publish(second)
    assert await index.document(first.key) == first


async def test_a_document_without_passages_can_be_published(index: Index) -> None:
    empty = document(passages=0)
    await index.publish(empty)
    assert await index.document(empty.key) == empty
    assert await index.count(TEAM) == (1, 0)


async def test_a_reader_always_finds_exactly_one_version(index: Index) -> None:
    await put(index, document(version="v0", passages=3))
    done = asyncio.Event()

    async def read() -> int:
        reads = 0
        while not done.is_set() or reads == 0:
            lists = await index.candidates(TEAM, Query(vector(0), None), 100)
            versions = await index.passages(TEAM, [hit.id for hit in lists.dense])
            assert len(lists.dense) == 3
            assert len({passage.document.version for passage in versions}) <= 1
            reads += 1
            await asyncio.sleep(0)
        return reads

    reader = asyncio.create_task(read())
    for number in range(1, 30):
        await put(index, document(version=f"v{number}", passages=3))
    done.set()
    assert await reader > 0


async def test_discarding_removes_the_staged_version_only(index: Index) -> None:
    stored = await put(index, document(version="v1"))
    await index.stage(document(version="v2"), [chunk(0)])
    await index.discard(document(version="v2"))
    assert await index.document(stored.key) == stored
    with pytest.raises(Aborted):
        await index.publish(document(version="v2"))
