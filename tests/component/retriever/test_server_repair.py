"""Documents on a real Qdrant server whose chunks are not those that their record speaks of."""

import asyncio
import time
import uuid
from dataclasses import replace

import pytest
from qdrant_client import AsyncQdrantClient, models
from structlog.testing import capture_logs

from rag_contract.errors import DependencyDown, Unavailable
from rag_retriever.engines.server import Nodes, ServerCatalog, ServerOptions, connected
from rag_retriever.engines.server.metadata_point import METADATA_POINT_ID
from rag_retriever.index.filters import Scope
from rag_retriever.index.model import Document
from rag_retriever.index.ports import Index
from tests.support.contracts.fixtures import EVERYTHING
from tests.support.contracts.samples import SPEC, TEAM, chunk, document, found, put
from tests.support.qdrant import QdrantServer
from tests.support.retriever.server import Dying

WHOLE = document(version="v1", passages=3)


def _collection(options: ServerOptions) -> str:
    return f"{options.prefix}{SPEC.name}"


async def _is_whole(index: Index, of: Document) -> bool:
    passages = await index.chunks(of.key, 0, 100)
    assert len(passages) == len(await found(index))
    return await index.count(TEAM) == (1, of.passage_count) and len(passages) == of.passage_count


async def _die_before_publishing(
    client: AsyncQdrantClient, options: ServerOptions, of: Document, writes: int
) -> None:
    """Stage a version, and lose the connection after so many of the writes that publish it."""
    dying = Dying(client)
    doomed = await ServerCatalog(dying, options).open("")
    await doomed.stage(of, [chunk(ordinal) for ordinal in range(of.passage_count)])
    dying.dies_at = dying.writes + writes + 1
    with pytest.raises(Unavailable):
        await doomed.publish(of)


@pytest.mark.parametrize("writes", [0, 1], ids=["staged", "claimed"])
@pytest.mark.parametrize("changes", [1, 3])
@pytest.mark.parametrize("other", [False, True], ids=["same-version", "another-version"])
async def test_a_document_whose_removal_is_forgotten_is_stored_whole_beside_an_abandoned_upload(
    server_catalog: ServerCatalog,
    client: AsyncQdrantClient,
    options: ServerOptions,
    writes: int,
    changes: int,
    other: bool,
) -> None:
    index = await server_catalog.open("")
    for _ in range(changes):
        await put(index, WHOLE)
        await index.delete(WHOLE.key)
    await _age(client, options)
    abandoned = document(version="v2", passages=2) if other else WHOLE
    await _die_before_publishing(client, options, abandoned, writes)
    await server_catalog.tidy()
    await put(index, WHOLE)
    assert await _is_whole(index, WHOLE)
    await index.delete(WHOLE.key)
    await server_catalog.tidy(retention_seconds=0)
    assert (await server_catalog.describe("")).points == 0
    assert (await client.count(_collection(options))).count == 1, "only what the index is for"


@pytest.mark.parametrize("writes", [0, 1], ids=["staged", "claimed"])
async def test_a_retried_upload_is_not_removed_for_the_age_of_the_first_attempt(
    server_catalog: ServerCatalog, client: AsyncQdrantClient, options: ServerOptions, writes: int
) -> None:
    await _die_before_publishing(client, options, WHOLE, writes)
    await _age(client, options)
    # Claimed again, and not shown yet: the next round may come just now.
    await _die_before_publishing(client, options, WHOLE, 1)
    before = (await server_catalog.describe("")).points
    await server_catalog.tidy()
    assert (await server_catalog.describe("")).points == before == WHOLE.passage_count


@pytest.mark.parametrize("revision", [1, 2, 7])
async def test_an_upload_whose_chunks_the_engine_does_not_take_is_not_said_to_be_stored(
    server_catalog: ServerCatalog, client: AsyncQdrantClient, options: ServerOptions, revision: int
) -> None:
    """Chunks of a later revision than the document's, which no call can have left any more."""
    index = await server_catalog.open("")
    await index.stage(WHOLE, [chunk(ordinal) for ordinal in range(WHOLE.passage_count)])
    await _set_revision(client, options, revision)
    if revision == 1:
        await index.publish(WHOLE)
        assert await _is_whole(index, WHOLE)
        return
    with pytest.raises(DependencyDown, match="cannot be published yet"):
        await put(index, WHOLE)
    assert await index.count(TEAM) == (0, 0)


@pytest.mark.parametrize("missing", [(0,), (1, 2), (0, 1, 2)], ids=["first", "last", "all"])
@pytest.mark.parametrize("records", [0, 2], ids=["published-once", "published-again"])
async def test_a_document_that_lost_chunks_is_whole_after_its_version_is_stored_again(
    server_catalog: ServerCatalog,
    client: AsyncQdrantClient,
    options: ServerOptions,
    missing: tuple[int, ...],
    records: int,
) -> None:
    index = await server_catalog.open("")
    for number in range(records):
        await put(index, document(version=f"earlier-{number}"))
    await put(index, WHOLE)
    await put(index, document("neighbour", collection="other"))
    ids = [WHOLE.key.point_id(WHOLE.version, ordinal) for ordinal in missing]
    await client.delete(_collection(options), ids)
    assert len(await index.chunks(WHOLE.key, 0, 10)) == WHOLE.passage_count - len(missing)
    await put(index, WHOLE)
    passages = await index.chunks(WHOLE.key, 0, 10)
    assert [one.chunk.ordinal for one in passages] == [0, 1, 2]
    assert await index.count(Scope("team", ("wiki",))) == (1, WHOLE.passage_count)
    assert len(await found(index, Scope("team", ("wiki",)))) == WHOLE.passage_count
    await put(index, document(version="v2", passages=1))
    assert await index.count(TEAM) == (2, 2)


@pytest.mark.parametrize(
    ("damage", "type_name"),
    [
        ({"scope": ["publishing"], "document": {}}, "KeyError"),
        ({"scope": ["publishing"], "key": ["team"]}, "TypeError"),
        ({"scope": ["publishing"], "key": 5}, "TypeError"),
    ],
)
async def test_an_index_that_cannot_be_tidied_is_logged_and_the_others_are_tidied(
    server_catalog: ServerCatalog,
    client: AsyncQdrantClient,
    options: ServerOptions,
    damage: dict[str, object],
    type_name: str,
) -> None:
    """The first index in the round holds a document's record that cannot be read."""
    await server_catalog.create(replace(SPEC, name="another"))
    broken = models.PointStruct(id=str(uuid.uuid4()), vector={}, payload=damage)
    await client.upsert(f"{options.prefix}another", [broken], wait=True)
    await (await server_catalog.open(SPEC.name)).stage(WHOLE, [chunk(0)])
    await _age(client, options)
    with capture_logs() as logs:
        await server_catalog.tidy()
    assert (await server_catalog.describe(SPEC.name)).points == 0
    assert [(one["index"], one["error"]) for one in logs] == [("another", type_name)]


async def test_an_index_whose_own_record_is_damaged_does_not_keep_the_others_from_being_tidied(
    server_catalog: ServerCatalog, client: AsyncQdrantClient, options: ServerOptions
) -> None:
    await server_catalog.create(replace(SPEC, name="another"))
    await client.overwrite_payload(
        f"{options.prefix}another", {"scope": []}, points=[METADATA_POINT_ID]
    )
    await (await server_catalog.open(SPEC.name)).stage(WHOLE, [chunk(0)])
    await _age(client, options)
    # As another replica meets it, which has opened no index yet.
    with capture_logs() as logs:
        await ServerCatalog(Nodes([client], 5), options).tidy()
    assert (await server_catalog.describe(SPEC.name)).points == 0
    assert [one["index"] for one in logs] == ["another"]


@pytest.mark.parametrize("error", [DependencyDown("unavailable"), RuntimeError(), KeyError("x")])
async def test_the_rounds_go_on_after_one_that_failed(
    error: Exception, qdrant: QdrantServer, options: ServerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds, again = 0, asyncio.Event()

    async def tidy(catalog: ServerCatalog) -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            raise error
        again.set()

    monkeypatch.setattr(ServerCatalog, "tidy", tidy)
    monkeypatch.setattr("rag_retriever.engines.server.catalog._TIDY_SECONDS", 0.01)
    with capture_logs() as logs:
        async with connected(qdrant.url, grpc_port=qdrant.grpc_port, options=options):
            async with asyncio.timeout(10):
                await again.wait()
    assert [one["error"] for one in logs] == [type(error).__name__]


async def _age(client: AsyncQdrantClient, options: ServerOptions) -> None:
    """Let all that is there be two days old."""
    since = {"since": time.time() - 48 * 3600}
    await client.set_payload(_collection(options), since, points=EVERYTHING)


async def _set_revision(client: AsyncQdrantClient, options: ServerOptions, revision: int) -> None:
    await client.set_payload(_collection(options), {"revision": revision}, points=EVERYTHING)
