"""The contract of a catalog: which indexes there are, what `default` means, and that they last."""

from dataclasses import replace
from itertools import product

import pytest

from rag_contract.errors import EmbeddingMismatch, IndexIsDefault, IndexNotFound, InvalidArgument
from rag_retriever.index.ports import Catalog, IndexState
from tests.support.contracts.fixtures import OpenCatalog
from tests.support.contracts.samples import SPEC, TEAM, chunk, document, found, put

SECOND = replace(SPEC, name="second", fingerprint="fingerprint-b")


async def test_a_new_index_is_empty_ready_and_the_default(catalog: Catalog) -> None:
    info = await catalog.create(SPEC)
    assert (info.spec, info.points, info.state) == (SPEC, 0, IndexState.READY)
    assert info.is_default
    assert info.created.tzinfo is not None
    assert await catalog.describe("default") == await catalog.describe("main") == info


async def test_creating_the_same_index_again_does_nothing(catalog: Catalog) -> None:
    await catalog.create(SPEC)
    await put(await catalog.open("main"), document())
    assert (await catalog.create(SPEC)).points == 2


async def test_an_index_for_other_vectors_is_not_created_over_one(catalog: Catalog) -> None:
    await catalog.create(SPEC)
    for other in (replace(SPEC, fingerprint="fingerprint-b"), replace(SPEC, dimensions=8)):
        with pytest.raises(EmbeddingMismatch):
            await catalog.create(other)
    assert (await catalog.describe("main")).spec == SPEC


async def test_an_invalid_name_is_refused(catalog: Catalog) -> None:
    for name in ("", "default", "../up", "a\0b", "Upper", "한글", "x" * 65):
        with pytest.raises(InvalidArgument):
            await catalog.create(replace(SPEC, name=name))


async def test_an_unknown_index_is_not_found(catalog: Catalog) -> None:
    calls = (catalog.open, catalog.describe, catalog.switch, catalog.optimize, catalog.drop)
    for name, call in product(("", "default", "nothing", "../main", "a\0b"), calls):
        with pytest.raises(IndexNotFound):
            await call(name)


async def test_the_alias_moves_at_once(catalog: Catalog) -> None:
    await catalog.create(SPEC)
    assert not (await catalog.create(SECOND)).is_default
    assert (await catalog.open("", max_age=60)).spec == SPEC
    assert (await catalog.switch("second")).is_default
    assert (await catalog.open("")).spec == (await catalog.open("default")).spec == SECOND
    assert (await catalog.open("", max_age=60)).spec == SECOND
    assert [(one.spec.name, one.is_default) for one in await catalog.list_indexes()] == [
        ("main", False),
        ("second", True),
    ]


async def test_the_default_is_not_dropped_and_another_is(catalog: Catalog) -> None:
    await catalog.create(SPEC)
    await catalog.create(SECOND)
    await put(await catalog.open("second"), document())
    assert await found(await catalog.open("main")) == set()
    for name in ("default", "main", ""):
        with pytest.raises(IndexIsDefault):
            await catalog.drop(name)
    await catalog.drop("second")
    with pytest.raises(IndexNotFound):
        await catalog.open("second")
    assert [one.spec for one in await catalog.list_indexes()] == [SPEC]
    assert (await catalog.create(replace(SECOND, dimensions=8))).points == 0


async def test_optimizing_loses_nothing(catalog: Catalog) -> None:
    await catalog.create(SPEC)
    index = await catalog.open("")
    await put(index, document(passages=100))
    before = await found(index)
    assert (await catalog.optimize("default")).state is IndexState.READY
    assert await found(index) == before
    await put(index, document("after"))
    assert len(await found(index, limit=200)) == 101


async def test_everything_is_there_after_a_restart(open_catalog: OpenCatalog) -> None:
    async with open_catalog() as first:
        await first.create(SPEC)
        await first.create(SECOND)
        await first.switch("second")
        index = await first.open("second")
        stored = await put(index, document(passages=3, metadata={"year": 2024.0}))
        await index.stage(document("draft"), [chunk(0)])
        before, version = await first.list_indexes(), index.version
    async with open_catalog() as second:
        index = await second.open("default")
        assert await second.list_indexes() == before
        assert await index.document(stored.key) == stored
        assert len(await found(index)) == 3
        assert await index.count(TEAM) == (1, 3)
        await index.delete(stored.key)
        assert index.version != version
