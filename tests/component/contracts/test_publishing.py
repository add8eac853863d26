"""The contract of an index: one version of a document is seen, whole, whatever else goes on."""

import pytest

from rag_contract.errors import DocumentConflict
from rag_retriever.index.ports import Index
from tests.support.contracts.samples import TEAM, chunk, document, found, put


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


async def test_publishing_or_staging_a_published_version_again_changes_nothing(
    index: Index,
) -> None:
    stored = await put(index, document(passages=2))
    before = await found(index)
    await index.publish(stored)
    assert await found(index) == before
    assert await index.document(stored.key) == stored
    await index.stage(stored, [chunk(0), chunk(1)])
    assert await found(index) == before
    await index.discard(stored)
    assert await index.count(TEAM) == (1, 2)


async def test_a_version_whose_chunks_are_gone_is_not_published(index: Index) -> None:
    first, second = document(version="v1", passages=2), document(version="v2", passages=2)
    await index.stage(second, [chunk(0)])
    await put(index, first)
    await index.stage(second, [chunk(1)])
    with pytest.raises(DocumentConflict):
        await index.publish(second)
    assert await index.document(first.key) == first


async def test_a_document_without_passages_can_be_published(index: Index) -> None:
    empty = document(passages=0)
    await index.publish(empty)
    assert await index.document(empty.key) == empty
    assert await index.count(TEAM) == (1, 0)


async def test_discarding_removes_the_staged_version_only(index: Index) -> None:
    stored = await put(index, document(version="v1"))
    await index.stage(document(version="v2"), [chunk(0)])
    await index.discard(document(version="v2"))
    assert await index.document(stored.key) == stored
    with pytest.raises(DocumentConflict):
        await index.publish(document(version="v2"))
