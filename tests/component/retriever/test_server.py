"""Documents on a real Qdrant server where a caller dies midway or an answer is lost."""

from collections.abc import Awaitable, Callable
from itertools import count
from typing import TypeVar

import pytest
from qdrant_client import AsyncQdrantClient

from rag_contract.errors import Unavailable
from rag_retriever.engines.server import ServerCatalog, ServerOptions
from rag_retriever.index.ports import Index, Outcome
from tests.support.contracts.fixtures import EVERYTHING
from tests.support.contracts.samples import SPEC, TEAM, chunk, document, found, put
from tests.support.retriever.server import Dying

_T = TypeVar("_T")

FORMER, LATTER = document(version="v1", passages=3), document(version="v2", passages=2)


async def _replace(index: Index) -> object:
    return await put(index, LATTER)


async def _delete(index: Index) -> object:
    return await index.delete(FORMER.key)


async def _what_is_there(index: Index) -> str | None:
    """The version that is there, of which every method gives all and nothing else; None if none is."""
    stored = await index.document(FORMER.key)
    expected = stored.passage_count if stored else 0
    passages = await index.chunks(FORMER.key, 0, 10)
    searched = await index.passages(TEAM, sorted(await found(index)))
    assert {one.document.version for one in [*passages, *searched]} <= {stored and stored.version}
    assert (len(passages), len(searched)) == (expected, expected)
    assert await index.count(TEAM) == (bool(stored), expected)
    return stored.version if stored else None


@pytest.mark.parametrize("done", [False, True], ids=["undone", "done"])
@pytest.mark.parametrize(("change", "after"), [(_replace, "v2"), (_delete, None)])
async def test_a_caller_that_dies_at_any_write_leaves_a_whole_version(
    server_catalog: ServerCatalog,
    options: ServerOptions,
    client: AsyncQdrantClient,
    change: Callable[[Index], Awaitable[object]],
    after: str | None,
    done: bool,
) -> None:
    index = await server_catalog.open("")
    dying = Dying(client)
    doomed = await ServerCatalog(dying, options).open("")
    for write in count(1):
        await put(index, FORMER)
        dying.writes, dying.dies_at, dying.done = 0, write, done
        try:
            await change(doomed)
            break  # It has no more writes than that.
        except Unavailable:
            pass
        listed = [one.version for one in (await index.documents(TEAM, "", 10))[0]]
        passages = await index.chunks(FORMER.key, 0, 10)
        assert [{"v1": 3, "v2": 2}[version] for version in listed] == [len(passages)] * len(listed)
        searched = await index.passages(TEAM, sorted(await found(index)))
        assert len({one.document.version for one in searched}) <= 1
        await server_catalog.tidy(abandoned_seconds=0)
        assert await _what_is_there(index) in ("v1", after)
        await change(index)
        assert await _what_is_there(index) == after
        await index.delete(FORMER.key)
    assert write > 2


@pytest.mark.parametrize("done", [False, True], ids=["undone", "done"])
async def test_a_change_whose_answer_is_lost_says_what_is_true_where_it_can_be_asked(
    server_catalog: ServerCatalog, options: ServerOptions, client: AsyncQdrantClient, done: bool
) -> None:
    """Only that one write fails: its caller can still ask whether it was done."""

    class Blinking(Dying):
        async def write(self, call: Callable[[AsyncQdrantClient], Awaitable[_T]]) -> _T:
            try:
                return await super().write(call)
            finally:
                self.dies_at = None

    index = await server_catalog.open("")
    for write in count(1):
        await put(index, FORMER)
        blinking = Blinking(client)
        other = await ServerCatalog(blinking, options).open("")
        await other.stage(LATTER, [chunk(0), chunk(1)])
        blinking.writes, blinking.dies_at, blinking.done = 0, write, done
        try:
            assert (await other.publish(LATTER)).outcome is Outcome.REPLACED
            assert await _what_is_there(index) == "v2"
        except Unavailable:
            await other.discard(LATTER)
            await server_catalog.tidy(abandoned_seconds=0)
            assert await _what_is_there(index) in ("v1", "v2")
        if blinking.writes < write:
            break
    assert write > 2


async def test_what_nobody_needs_is_removed_and_what_is_published_stays(
    server_catalog: ServerCatalog,
) -> None:
    index = await server_catalog.open("")
    await put(index, document("kept", passages=2))
    await put(index, document("gone"))
    await index.delete(document("gone").key)
    await index.stage(document("draft", passages=2), [chunk(0), chunk(1)])
    await server_catalog.tidy(retention_seconds=3600)
    with_draft = (await server_catalog.describe("")).points
    await server_catalog.tidy(retention_seconds=0)
    assert with_draft - (await server_catalog.describe("")).points == 2
    assert await index.count(TEAM) == (1, 2)
    assert (await put(index, document("gone"))).version == "v1"
    assert (await server_catalog.describe("")).points == 5


async def test_documents_of_an_older_release_are_replaced_and_removed(
    server_catalog: ServerCatalog, options: ServerOptions, client: AsyncQdrantClient
) -> None:
    """Their points have no revision."""
    index = await server_catalog.open("")
    for change, after in ((_replace, "v2"), (_delete, None)):
        await put(index, FORMER)
        await client.delete_payload(
            f"{options.prefix}{SPEC.name}",
            keys=["revision", "writer", "earlier", "since", "key"],
            points=EVERYTHING,
        )
        assert await _what_is_there(index) == "v1"
        await change(index)
        assert await _what_is_there(index) == after
