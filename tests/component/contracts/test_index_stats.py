"""The contract of counting: what an index holds, of all tenants, and whether its documents agree."""

import asyncio
from dataclasses import replace

from rag_retriever.index.ports import Catalog, Index
from tests.support.contracts.samples import TEAM, chunk, document, put


async def holds(catalog: Catalog, documents: int, chunks: int) -> None:
    """These are all documents and chunks of the index, and they agree."""
    stats = await catalog.stats("main")
    assert (stats.documents, stats.chunks) == (documents, chunks)
    assert await catalog.drift("default") == 0


async def test_the_counts_follow_storing_replacing_and_deleting(
    catalog: Catalog, index: Index
) -> None:
    await holds(catalog, 0, 0)
    for tenant, collection, passages in (("team", "wiki", 3), ("team", "mail", 2), ("x", "y", 4)):
        await put(index, document(collection, "v1", tenant, collection, passages))
    await holds(catalog, 3, 9)
    await index.stage(document("draft", passages=3), [chunk(0), chunk(1)])
    await holds(catalog, 3, 9)
    await put(index, document("wiki", "v2", passages=1))
    await index.delete(document("mail", collection="mail").key)
    await holds(catalog, 2, 5)


async def test_names_that_look_like_scopes_are_counted_once(catalog: Catalog, index: Index) -> None:
    for tenant in ("4:team/4:wiki", "team", "team/4:wiki", "a/b:c", "6:other"):
        await put(index, document("d", tenant=tenant, collection="4:wiki", passages=2))
    await holds(catalog, 5, 10)


async def test_a_document_that_announces_more_than_is_there_is_drift(
    catalog: Catalog, index: Index
) -> None:
    stored = await put(index, document(passages=3))
    await put(index, document("other", passages=2))
    # An announcement of fewer passes publishing; the third chunk stays with it.
    await index.publish(replace(stored, passage_count=2))
    assert await catalog.drift("") == 1


async def test_drift_is_not_said_of_an_index_that_is_written_to(
    catalog: Catalog, index: Index
) -> None:
    for number in range(60):
        await put(index, document(f"d{number}"))
    comparing = asyncio.create_task(catalog.drift(""))
    written = 0
    while not comparing.done():
        await put(index, document("late", version=f"v{written}"))
        written += 1
        await asyncio.sleep(0)
    assert await comparing in (None, 0)
    assert await catalog.drift("") == 0
    assert (await index.count(TEAM))[0] == 61
