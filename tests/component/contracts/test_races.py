"""The contract of an index under concurrent changes: two callers change one document while a third reads."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest

from rag_contract.errors import DocumentConflict
from rag_retriever.index.filters import Scope
from rag_retriever.index.model import Document, DocumentKey, Query
from rag_retriever.index.ports import Index, Outcome, Published
from tests.support.contracts.samples import chunk, document, found, put, vector

# Documents that are raced for at once: the steps for one come between those for the others.
NAMES = [f"doc-{number}" for number in range(10)]
PASSAGES = 3


Change: TypeAlias = Callable[[Index, str, str], Awaitable[object]]


async def replace(index: Index, name: str, version: str) -> Published:
    """Store a version as the retriever does: one that is not published is discarded."""
    new = document(name, version, collection=name, passages=PASSAGES)
    try:
        await index.stage(new, [chunk(ordinal) for ordinal in range(PASSAGES)])
        return await index.publish(new)
    except BaseException:
        await index.discard(new)
        raise


async def delete(index: Index, name: str, version: str) -> int | None:
    return await index.delete(_key(name))


@pytest.mark.parametrize(
    ("first", "second", "rounds"),
    [
        pytest.param(replace, replace, 50, id="replace-replace"),
        pytest.param(replace, delete, 50, id="replace-delete"),
        pytest.param(delete, delete, 30, id="delete-delete"),
        pytest.param(replace, replace, 300, id="replace-replace-300", marks=pytest.mark.long),
        pytest.param(replace, delete, 300, id="replace-delete-300", marks=pytest.mark.long),
    ],
)
async def test_two_changes_of_a_document_leave_one_whole_version_or_none(
    callers: list[Index], first: Change, second: Change, rounds: int
) -> None:
    await race(callers, first, second, rounds)


async def race(
    callers: list[Index], first: Change, second: Change, rounds: int, *, shards: int = 1
) -> None:
    """Let the first two callers change the same documents at the same time, while the third reads.

    A search over several shards may meet a new version before all of its passages can be found.
    """
    one, other, reader = callers
    deletes = delete in (first, second)
    whole = shards == 1 and not deletes
    for name in NAMES:
        await replace(reader, name, "first")
    done = asyncio.Event()
    reading = asyncio.create_task(_read(reader, deletes, whole, done))
    try:
        await asyncio.gather(
            *(
                _rounds(name, (one, first), (other, second), reader, rounds // len(NAMES))
                for name in NAMES
            )
        )
    finally:
        done.set()
    assert await reading > 0


async def test_of_callers_that_publish_the_same_version_at_once_one_changes_the_document(
    callers: list[Index],
) -> None:
    for number in range(5):
        results = await asyncio.gather(
            *(replace(callers[i % 3], "doc", f"{number}") for i in range(8))
        )
        changed = Outcome.REPLACED if number else Outcome.CREATED
        assert sorted(one.outcome.value for one in results) == sorted(
            [changed.value, *[Outcome.UNCHANGED.value] * 7]
        )
        stored = await _whole(callers[2], "doc")
        assert all(one.document == stored for one in results)


async def test_a_version_that_comes_back_at_the_same_time_as_another_is_whole(
    callers: list[Index],
) -> None:
    """The two versions take turns, so each caller meets chunks of its own version that are going."""
    await put(callers[0], document("doc", "a", collection="doc", passages=PASSAGES))
    for _ in range(15):
        results = await asyncio.gather(
            *(replace(callers[i % 2], "doc", version) for i, version in enumerate("abab")),
            return_exceptions=True,
        )
        assert any(isinstance(one, Published) for one in results)
        assert await _whole(callers[2], "doc") is not None


async def _rounds(
    name: str,
    first: tuple[Index, Change],
    second: tuple[Index, Change],
    reader: Index,
    rounds: int,
) -> None:
    for number in range(rounds):
        versions = f"{number}-a", f"{number}-b"
        if await reader.document(_key(name)) is None:
            await replace(reader, name, f"{number}")
        results = await asyncio.gather(
            *(
                change(index, name, version)
                for (index, change), version in zip((first, second), versions, strict=True)
            ),
            return_exceptions=True,
        )
        stored = await _whole(reader, name)
        _check(results, versions, stored)


def _check(results: list[object], versions: tuple[str, str], stored: Document | None) -> None:
    """What is there in the end was acknowledged, and a call that was not has said why."""
    failed = [one for one in results if isinstance(one, BaseException)]
    assert all(isinstance(one, DocumentConflict) for one in failed), failed
    assert len(failed) < len(results)
    published = {
        version
        for version, one in zip(versions, results, strict=True)
        if isinstance(one, Published)
    }
    if stored is not None:
        assert stored.version in published
    deletions = [one for one in results if isinstance(one, int | None)]
    if not deletions:
        assert stored is not None
    assert len([one for one in deletions if one is not None]) <= 1 or published
    assert all(one in (None, PASSAGES) for one in deletions)


async def _whole(index: Index, name: str) -> Document | None:
    """The document while nobody changes it: all that is said of it agrees. None if it is not there."""
    scope = Scope("team", (name,))
    stored = await index.document(_key(name))
    passages = await index.chunks(_key(name), 0, 100)
    searched = await index.passages(scope, sorted(await found(index, scope)))
    expected = [(stored, ordinal) for ordinal in range(PASSAGES)] if stored else []
    assert [(one.document, one.chunk.ordinal) for one in passages] == expected
    assert len(searched) == len(expected)
    assert all((one.document, one.chunk.ordinal) in expected for one in searched)
    assert await index.count(scope) == (1 if stored else 0, len(expected))
    return stored


async def _read(index: Index, deletes: bool, whole: bool, done: asyncio.Event) -> int:
    """How often the documents were read, while others changed them, and each answer was right."""
    reads = 0
    while not done.is_set() or not reads:
        for name in NAMES:
            await _search(index, name, whole)
            await _list(index, name, deletes)
            reads += 1
            await asyncio.sleep(0)
    return reads


async def _search(index: Index, name: str, whole: bool) -> None:
    scope = Scope("team", (name,))
    lists = await index.candidates(scope, Query(vector(0), None), 100)
    assert len(lists.dense) <= PASSAGES
    if whole:
        assert len(lists.dense) == PASSAGES
    # Some may be replaced between being found and being read.
    passages = await index.passages(scope, [hit.passage_id for hit in lists.dense])
    assert len({one.document.version for one in passages}) <= 1


async def _list(index: Index, name: str, may_be_gone: bool) -> None:
    for listed in (await index.documents(Scope("team", (name,)), "", 10))[0]:
        passages = await index.chunks(listed.key, 0, 100)
        assert len({one.document.version for one in passages}) <= 1
        assert len(passages) == PASSAGES or (may_be_gone and not passages)


def _key(name: str) -> DocumentKey:
    return DocumentKey("team", name, name)
