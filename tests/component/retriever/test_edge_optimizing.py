"""The embedded engine's search graph: built after every bulk, tried again, and also after a restart."""

import asyncio
import itertools
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from rag_contract.errors import Unavailable
from rag_retriever.engines.edge import EdgeCatalog, engine, layout, open_index
from rag_retriever.engines.edge.options import OptimizerOptions
from rag_retriever.engines.edge.write_log import WriteLog
from rag_retriever.index.model import Document, Query, SparseVector, VectorChunk
from rag_retriever.index.ports import Catalog, Index, IndexState
from tests.support.contracts.samples import TEAM, chunk, document, put
from tests.support.processes import arguments, children
from tests.support.retriever.edge_writer import SPEC
from tests.support.waiting import until

# The engine makes a graph of 1 MB of vectors and more: a thousand of these.
WIDE = replace(SPEC, dimensions=256)
SOON = OptimizerOptions(due_points=400, saved_points=100, retry_seconds=0.1, retry_seconds_max=0.4)
_BUILDER = "tests.support.retriever.unreliable_build"
_RANDOM = np.random.default_rng(7)


def wide(ordinal: int) -> VectorChunk:
    """A chunk with a vector of WIDE's length."""
    values = _RANDOM.standard_normal(WIDE.dimensions).astype("<f4")
    return replace(chunk(ordinal), dense=values.tobytes())


async def put_wide(index: Index, name: str, passages: int, version: str = "v1") -> Document:
    of = document(name, version, passages=passages)
    return await put(index, of, [wide(ordinal) for ordinal in range(passages)])


@asynccontextmanager
async def opened_index(
    root: Path, options: OptimizerOptions = SOON, *, background: bool = True
) -> AsyncIterator[tuple[EdgeCatalog, Index]]:
    async with EdgeCatalog(root, background=background, options=options) as catalog:
        await catalog.create(WIDE)
        yield catalog, await catalog.open("")


async def ready(catalog: Catalog, name: str = "") -> bool:
    return (await catalog.describe(name)).state is IndexState.READY


async def built(catalog: Catalog, name: str = "") -> None:
    """Wait for the graph; the process that builds it has the lowest priority on a busy machine."""
    await until(lambda: ready(catalog, name), "the graph is built", seconds=120)


def in_graph(root: Path, chunks: int) -> int:
    """How many dense vectors a closed index has in its graph, by the engine's own account."""
    directory = root / WIDE.name
    shard = engine.load(directory / layout.load(directory).shard)
    indexed = shard.info().indexed_vectors_count
    shard.close()
    # It counts the sparse vectors too, which are always in their index: one a chunk.
    return indexed - chunks


async def search_continuously(index: Index, searches: list[int]) -> None:
    """Search until cancelled, and append how many hits each search has."""
    query = Query(wide(0).dense, SparseVector((1,), (1.0,)))
    while True:
        searches.append(len((await index.candidates(TEAM, query, 10)).sparse))
        await asyncio.sleep(0.05)


# Bulks


@pytest.mark.parametrize(
    ("documents", "passages", "write_log_points"),
    [
        pytest.param(1, 1_600, 1_000_000, id="one large document"),
        pytest.param(16, 100, 300, id="more than the write log holds"),
        pytest.param(200, 8, 300, id="small documents, more than the write log holds"),
    ],
)
async def test_a_bulk_ends_with_a_graph_and_nothing_needs_to_be_written_after_it(
    tmp_path: Path, documents: int, passages: int, write_log_points: int
) -> None:
    options = replace(SOON, write_log_points=write_log_points)
    async with opened_index(tmp_path, options) as (catalog, index):
        for first in range(0, documents, 8):
            names = range(first, min(first + 8, documents))
            await asyncio.gather(*(put_wide(index, f"d{name}", passages) for name in names))
        assert not await ready(catalog)
        searching = asyncio.create_task(search_continuously(index, searches := []))
        await built(catalog)
        searching.cancel()
        await asyncio.wait([searching])
        assert searching.cancelled()
        assert set(searches) == {10}
        assert (await catalog.stats("")).unoptimized <= SOON.due_points
        assert await index.count(TEAM) == (documents, documents * passages)
    assert in_graph(tmp_path, documents * passages) >= documents * passages - SOON.due_points
    assert len([path for path in (tmp_path / WIDE.name).iterdir() if path.is_dir()]) == 1


async def test_writes_that_never_pause_do_not_keep_a_graph_from_being_built(
    tmp_path: Path,
) -> None:
    async with opened_index(tmp_path) as (_, index):
        await put_wide(index, "base", 1_200)
        writing = [asyncio.create_task(_rewrite(index, f"w{number}")) for number in range(4)]
        directory = tmp_path / WIDE.name
        await until(lambda: layout.load(directory).optimized >= 1_200, "a graph", seconds=120)
        assert not any(task.done() for task in writing)
        for task in writing:
            task.cancel()
        await asyncio.gather(*writing, return_exceptions=True)
        assert len(await index.chunks(document("base").key, 0, 1_300)) == 1_200


async def _rewrite(index: Index, name: str) -> None:
    for number in itertools.count():
        await put_wide(index, name, 50, f"v{number}")


async def test_what_is_replaced_and_deleted_during_a_build_is_so_after_it(tmp_path: Path) -> None:
    async with opened_index(tmp_path, background=False) as (catalog, index):
        await asyncio.gather(*(put_wide(index, f"d{number}", 30) for number in range(40)))
        await index.stage(document("late", passages=40), [wide(n) for n in range(40)])
        await index.stage(document("never", passages=2), [wide(0)])
        optimizing = asyncio.create_task(catalog.optimize(""))
        await until(lambda: _shards(tmp_path) == 2, "the copy is taken")
        await index.publish(document("late", passages=40))
        await index.discard(document("never", passages=2))
        for number in range(10):
            await put_wide(index, f"d{number}", 20, "v2")
            await index.delete(document(f"d{number + 10}").key)
            await put_wide(index, f"d{number + 20}", 30)
        await put(index, document("year", metadata={"year": 2026.0}), [wide(0)])
        assert not optimizing.done()
        expected = await _content(index)
        await optimizing
        assert await _content(index) == expected
        assert expected["d0"] == ("v2", 20)
        assert expected["late"] == ("v1", 40)
    async with opened_index(tmp_path, background=False) as (_, index):
        assert await _content(index) == expected


def _shards(root: Path) -> int:
    return sum(path.is_dir() for path in (root / WIDE.name).iterdir())


async def _content(index: Index) -> dict[str, tuple[str, int]]:
    """Version and number of passages of each document, which are also counted and found."""
    documents, _ = await index.documents(TEAM, "", 1_000)
    content = {
        one.key.document_id: (
            one.version,
            len(await index.chunks(one.key, 0, one.passage_count + 1)),
        )
        for one in documents
    }
    passages = sum(count for _, count in content.values())
    assert await index.count(TEAM) == (len(content), passages)
    lists = await index.candidates(TEAM, Query(None, SparseVector((1,), (1.0,))), 5_000)
    assert len(lists.sparse) == passages
    return content


# Failures


@pytest.fixture
def unreliable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first build is killed and three more fail; the file has a line for each."""
    tries = tmp_path / "tries"
    monkeypatch.setenv("UNRELIABLE_BUILD", str(tries))
    monkeypatch.setenv("UNRELIABLE_BUILD_TRIES", "4")
    monkeypatch.setattr(open_index, "_BUILD", _BUILDER)
    return tries


async def test_a_build_that_fails_or_is_killed_is_tried_again_later_and_later(
    tmp_path: Path, unreliable: Path
) -> None:
    with capture_logs() as lines:
        async with opened_index(tmp_path / "index") as (catalog, index):
            await put_wide(index, "base", 1_200)
            await built(catalog)
    assert in_graph(tmp_path / "index", 1_200) == 1_200
    waits = [line["retry_seconds"] for line in lines if line["event"] == "optimize_failed"]
    assert waits == [0.1, 0.2, 0.4, 0.4]
    times = _times(unreliable)
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert all(gap >= wait for gap, wait in zip(gaps, waits, strict=False))


def _times(tries: Path) -> list[float]:
    return [float(line) for line in tries.read_text().splitlines()]


async def test_a_build_that_hangs_is_stopped_and_tried_again(
    tmp_path: Path, unreliable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNRELIABLE_BUILD_TRIES", "1")
    monkeypatch.setenv("UNRELIABLE_BUILD_HANGS", "1")
    options = replace(SOON, build_seconds=8.0)
    async with opened_index(tmp_path / "index", options) as (catalog, index):
        await put_wide(index, "base", 500)
        await until(lambda: unreliable.exists() and _times(unreliable), "a build hangs")
        await built(catalog)
    assert not [pid for pid in children(os.getpid()) if _BUILDER in arguments(pid)]


async def test_a_call_to_optimize_is_answered_with_an_error_if_building_fails(
    tmp_path: Path, unreliable: Path
) -> None:
    async with opened_index(tmp_path / "index", background=False) as (catalog, index):
        await put_wide(index, "base", 1_200)
        with pytest.raises(Unavailable, match="building the search graph failed"):
            await catalog.optimize("")
        assert (await catalog.describe("")).state is IndexState.UNOPTIMIZED
        assert len(await index.chunks(document("base").key, 0, 1_300)) == 1_200


async def test_a_copy_that_fails_is_tried_again_and_does_not_keep_another_index_from_its_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, full = layout.copy_shard, True

    def unreliable_copy(source: Path, target: Path) -> None:
        if full and target.parent.name == WIDE.name:
            target.mkdir()
            raise OSError(28, "No space left on device")
        copy(source, target)

    monkeypatch.setattr(open_index, "copy_shard", unreliable_copy)
    async with opened_index(tmp_path) as (catalog, index):
        await catalog.create(replace(WIDE, name="second"))
        await put_wide(index, "base", 1_200)
        await put_wide(await catalog.open("second"), "base", 500)
        await built(catalog, "second")
        assert not await ready(catalog)
        full = False
        await built(catalog)
    assert _shards(tmp_path) == 1
    assert in_graph(tmp_path, 1_200) == 1_200


# Restarts


async def test_an_unoptimized_index_is_built_after_a_restart(tmp_path: Path) -> None:
    async with opened_index(tmp_path, background=False) as (catalog, index):
        await put_wide(index, "base", 1_200)
        assert (await catalog.describe("")).state is IndexState.UNOPTIMIZED
    async with opened_index(tmp_path) as (catalog, _):
        await built(catalog)
    assert in_graph(tmp_path, 1_200) == 1_200


async def test_a_killed_process_leaves_an_index_that_is_built_after_the_restart(
    tmp_path: Path,
) -> None:
    async with opened_index(tmp_path, background=False) as (catalog, index):
        await put_wide(index, "base", 1_200)
        await catalog.optimize("")
    command = ["-m", "tests.support.retriever.edge_replacer", str(tmp_path), "1200"]
    replacer = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE
    )
    assert replacer.stdout is not None
    assert await replacer.stdout.readline() == b"replaced\n"
    replacer.kill()
    await replacer.wait()
    async with opened_index(tmp_path, background=False) as (catalog, _):
        assert (await catalog.describe("")).state is IndexState.UNOPTIMIZED


# The journal


@pytest.mark.parametrize(("writes", "full"), [((3, 2), False), ((3, 3), True), ((6,), True)])
def test_a_journal_keeps_no_more_ids_than_its_limit(writes: tuple[int, ...], full: bool) -> None:
    write_log, number = WriteLog(limit=5), itertools.count()
    for count in writes:
        write_log.add(document(f"d{next(number)}").key.point_id() for _ in range(count))
    assert write_log.full is full
    assert len(write_log) == (0 if full else sum(writes))


def test_a_point_that_is_written_twice_is_in_the_journal_once() -> None:
    write_log, id = WriteLog(limit=5), document().key.point_id()
    for _ in range(10):
        write_log.add([id])
    assert (len(write_log), write_log.added_count) == (1, 1)
    assert write_log.pop(3) == [id]
    assert write_log.pop(3) == []


async def test_a_write_is_acknowledged_if_only_the_number_of_points_cannot_be_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_directory: Path, _description: layout.Description) -> None:
        raise OSError(28, "No space left on device")

    async with opened_index(tmp_path, background=False) as (_, index):
        monkeypatch.setattr(layout, "save", full)
        await put_wide(index, "base", 300)
    async with opened_index(tmp_path, background=False) as (_, index):
        assert await index.count(TEAM) == (1, 300)
