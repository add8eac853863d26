"""The contract of an index: what is stored is given back whole, to its tenant, once published."""

from dataclasses import replace

import pytest

from rag_contract.errors import EmbeddingMismatch, InvalidArgument
from rag_retriever.index.filters import Scope
from rag_retriever.index.model import (
    DocumentKey,
    Location,
    Passage,
    Query,
    ReadingWarning,
    SparseVector,
)
from rag_retriever.index.ports import Index
from tests.support.contracts.samples import (
    TEAM,
    chunk,
    document,
    found,
    found_documents,
    put,
    vector,
)

ODD_NAMES = ["a\0b", "문서 1", "../../etc", 'quo"te', "é" * 300, " ", "tenant/6:other"]


async def test_a_passage_comes_back_as_it_was_stored(index: Index) -> None:
    stored = await put(
        index, document(metadata={"lang": "ko", "year": 2024.0, "draft": False, "tags": ["a", "b"]})
    )
    [id] = await found(index)
    assert await index.passages(TEAM, [id]) == [Passage(id, stored, chunk(0).chunk)]
    assert await index.document(stored.key) == stored
    assert await index.sparse_vectors(TEAM, [id]) == {id: SparseVector((1,), (1.0,))}


async def test_where_a_passage_is_and_what_was_not_read_come_back(index: Index) -> None:
    unread = (
        ReadingWarning("PAGE_WITHOUT_TEXT", "pages without text", "글이 없는 쪽", (2, 5)),
        ReadingWarning("ATTACHMENT_UNREAD", "an attachment", "첨부 파일"),
    )
    located = chunk(0)
    located = replace(
        located, chunk=replace(located.chunk, location=Location("예산", 3, 20, "예산.xlsx"))
    )
    stored = await put(index, replace(document(), warnings=unread), [located])
    [id] = await found(index)
    assert await index.passages(TEAM, [id]) == [Passage(id, stored, located.chunk)]
    assert (await index.documents(TEAM, "", 10))[0] == [stored]
    assert await index.chunks(stored.key, 0, 10) == [Passage(id, stored, located.chunk)]


async def test_passages_come_in_the_order_asked_for_and_unknown_ids_are_left_out(
    index: Index,
) -> None:
    await put(index, document(passages=5))
    ids = sorted(await found(index), reverse=True)
    gone = document("other").key.point_id("v1", 0)
    passages = await index.passages(TEAM, [ids[0], gone, "no id at all", *ids[1:]])
    assert [passage.passage_id for passage in passages] == ids


async def test_no_method_shows_another_tenant_anything(index: Index) -> None:
    secret = await put(index, document("doc", tenant="other"))
    await put(index, document("mine"))
    stolen = sorted(await found(index, Scope("other")))
    assert await found_documents(index, TEAM) == {"mine"}
    assert await index.passages(TEAM, stolen) == []
    assert await index.sparse_vectors(TEAM, stolen) == {}
    assert (await index.documents(TEAM, "", 10))[0] == [document("mine")]
    assert await index.count(TEAM) == (1, 1)
    same_name = DocumentKey("team", "wiki", "doc")
    assert await index.document(same_name) is None
    assert await index.chunks(same_name, 0, 10) == []
    assert await index.delete(same_name) is None
    assert await index.document(secret.key) == secret


async def test_names_that_run_into_each_other_stay_apart(index: Index) -> None:
    await put(index, document("d", tenant="a", collection="b\0c"))
    await put(index, document("d", tenant="a\0b", collection="c"))
    await put(index, document("b/1:c", tenant="a", collection="x"))
    assert await index.count(Scope("a")) == (2, 2)
    assert await index.count(Scope("a\0b")) == (1, 1)
    assert await index.count(Scope("a", ("b",))) == (0, 0)


async def test_any_text_can_be_a_name(index: Index) -> None:
    for name in ODD_NAMES:
        odd = await put(index, document(name, tenant=name, collection=name, metadata={"key": name}))
        assert await index.document(odd.key) == odd
        assert await found_documents(index, Scope(name, (name,))) == {name}
        assert await index.delete(odd.key) == 1


async def test_only_the_named_collections_are_searched(index: Index) -> None:
    for collection in ("wiki", "mail", "code"):
        await put(index, document(collection, collection=collection))
    assert await found_documents(index, Scope("team", ("wiki", "mail"))) == {"wiki", "mail"}
    assert await index.count(Scope("team", ("code", "nothing"))) == (1, 1)
    listed, _ = await index.documents(Scope("team", ("mail",)), "", 10)
    assert [one.key.document_id for one in listed] == ["mail"]


async def test_deleting_says_how_many_chunks_there_were(index: Index) -> None:
    stored = await put(index, document(passages=3))
    assert await index.delete(stored.key) == 3
    assert await index.delete(stored.key) is None
    assert await found(index) == set()
    assert await index.count(TEAM) == (0, 0)


async def test_pages_hold_every_document_once_in_the_same_order(index: Index) -> None:
    for number in range(23):
        await put(index, document(f"d{number}"))
    whole, end = await index.documents(TEAM, "", 100)
    paged, token = [], ""
    while True:
        page, token = await index.documents(TEAM, token, 5)
        paged += page
        if not token:
            break
    assert end == ""
    assert paged == whole
    assert {one.key.document_id for one in paged} == {f"d{number}" for number in range(23)}
    with pytest.raises(InvalidArgument):
        await index.documents(TEAM, "an invalid token", 5)


async def test_a_large_document_is_stored_whole_and_its_chunks_come_in_order(index: Index) -> None:
    large = await put(index, document(passages=1_500))
    assert await index.count(TEAM) == (1, 1_500)
    for first, limit, last in ((0, 1_500, 1_500), (2, 3, 5), (1_500, 3, 1_500)):
        passages = await index.chunks(large.key, first, limit)
        assert [passage.chunk.ordinal for passage in passages] == list(range(first, last))


async def test_vectors_of_another_length_are_refused(index: Index) -> None:
    short = replace(chunk(0), dense=vector(0)[:-4])
    with pytest.raises(EmbeddingMismatch):
        await index.stage(document(), [short])
    with pytest.raises(EmbeddingMismatch):
        await index.candidates(TEAM, Query(short.dense, None), 10)


async def test_the_version_changes_with_every_write(index: Index) -> None:
    versions = [index.version]
    await index.stage(document(), [chunk(0)])
    await index.publish(document())
    versions.append(index.version)
    await index.delete(document().key)
    versions.append(index.version)
    assert len(set(versions)) == 3
