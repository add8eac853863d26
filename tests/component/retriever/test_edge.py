"""The embedded engine beyond the contract: crashes, two processes, and optimising under load."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rag_contract.errors import ReindexRunning, Unavailable
from rag_retriever.engines.edge import EdgeCatalog, engine, layout
from rag_retriever.engines.edge.writer import publishing
from rag_retriever.index.ports import Catalog, Index, IndexState
from tests.support.contracts.samples import TEAM, chunk, document, found, put
from tests.support.retriever.edge_writer import DOCUMENTS, SPEC

_WRITER = [sys.executable, "-m", "tests.support.retriever.edge_writer"]
_STEPS = 5


@pytest.mark.parametrize(
    ("lines", "arguments"),
    [
        (40, ()),
        (9, ("optimize",)),
        (60, ("optimize",)),
        *(
            pytest.param(lines, arguments, marks=pytest.mark.long)
            for lines in (1, 150, 400)
            for arguments in ((), ("optimize",))
        ),
    ],
)
async def test_a_killed_writer_loses_nothing_acknowledged(
    tmp_path: Path, lines: int, arguments: tuple[str, ...]
) -> None:
    for run in range(2):
        acknowledged = _killed_after(lines, tmp_path, run, *arguments)
        await _assert_kept(tmp_path, acknowledged)
    assert len([path for path in (tmp_path / "main").iterdir() if path.is_dir()]) == 1


@pytest.mark.parametrize("steps", range(_STEPS + 1))
async def test_a_publishing_cut_short_is_healed_on_opening(tmp_path: Path, steps: int) -> None:
    first, second = document(version="v1", passages=2), document(version="v2", passages=3)
    async with EdgeCatalog(tmp_path) as catalog:
        index = await _created(catalog)
        await put(index, first)
        await index.stage(second, [chunk(ordinal) for ordinal in range(3)])
    _apply(tmp_path, steps)
    async with EdgeCatalog(tmp_path) as catalog:
        index = await catalog.open("")
        expected = second if steps else first
        assert await index.document(first.key) == expected
        assert await index.count(TEAM) == (1, expected.passage_count)
        assert len(await found(index)) == expected.passage_count
        await put(index, second)
        assert await index.count(TEAM) == (1, 3)


async def test_one_optimizing_at_a_time(tmp_path: Path) -> None:
    async with EdgeCatalog(tmp_path) as catalog:
        await put(await _created(catalog), document())
        first = asyncio.create_task(catalog.optimize(""))
        await asyncio.sleep(0)
        assert (await catalog.describe("")).state is IndexState.OPTIMIZING
        with pytest.raises(ReindexRunning):
            await catalog.optimize("")
        with pytest.raises(ReindexRunning):
            await catalog.optimize("main")
        await first


async def test_leaving_while_optimizing_loses_nothing(tmp_path: Path) -> None:
    async with EdgeCatalog(tmp_path) as catalog:
        index = await _created(catalog)
        await put(index, document(passages=50))
        optimizing = asyncio.create_task(catalog.optimize(""))
        await put(index, document("other"))
    with pytest.raises(asyncio.CancelledError):
        await optimizing
    async with EdgeCatalog(tmp_path) as catalog:
        assert await (await catalog.open("")).count(TEAM) == (2, 51)


async def test_a_second_process_is_told_that_the_folder_is_taken(tmp_path: Path) -> None:
    async with EdgeCatalog(tmp_path):
        second = subprocess.run(  # noqa: ASYNC221
            [*_WRITER, str(tmp_path), "0"], capture_output=True, text=True, check=False
        )
    assert second.returncode == 1
    assert "another process has the index directory open" in second.stderr


@pytest.mark.parametrize("content", [None, "", "{}", "[1]", '{"dimensions": 3}'])
async def test_an_index_without_its_description_is_named(
    tmp_path: Path, content: str | None
) -> None:
    async with EdgeCatalog(tmp_path) as catalog:
        await _created(catalog)
    description = tmp_path / "main" / "index.json"
    description.unlink() if content is None else description.write_text(content)
    with pytest.raises(Unavailable, match=r"'main' has no readable index\.json"):
        async with EdgeCatalog(tmp_path):
            pass
    assert (tmp_path / "main").is_dir()


async def test_a_damaged_shard_is_an_error_that_shows_no_internals(tmp_path: Path) -> None:
    async with EdgeCatalog(tmp_path) as catalog:
        await _created(catalog)
    shard = tmp_path / "main" / layout.load(tmp_path / "main").shard
    (shard / "edge_config.json").write_text("{")
    with pytest.raises(Unavailable) as raised:
        async with EdgeCatalog(tmp_path):
            pass
    assert str(tmp_path) not in raised.value.message


async def test_what_a_crash_left_half_made_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".index-half").mkdir()
    async with EdgeCatalog(tmp_path) as catalog:
        await _created(catalog)
        assert len(await catalog.list_indexes()) == 1
    (tmp_path / "main" / "shard-half").mkdir()
    async with EdgeCatalog(tmp_path):
        assert not (tmp_path / ".index-half").exists()
        assert not (tmp_path / "main" / "shard-half").exists()


async def _created(catalog: Catalog) -> Index:
    await catalog.create(SPEC)
    return await catalog.open("")


def _apply(root: Path, steps: int) -> None:
    """Do the first steps of publishing v2 and no more."""
    directory = root / "main"
    shard = engine.load(directory / layout.load(directory).shard)
    changes = publishing(document(version="v2", passages=3))
    assert len(changes) == _STEPS
    for change in changes[:steps]:
        shard.update(change.operation)
    shard.close()


def _killed_after(lines: int, root: Path, run: int, *options: str) -> dict[str, str]:
    """The last acknowledged version of each document when the process was killed."""
    command = [*_WRITER, str(root), str(run), *options]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    output = [writer.stdout.readline() for _ in range(lines)]
    os.kill(writer.pid, signal.SIGKILL)
    output += writer.stdout.readlines()
    writer.wait()
    whole = [line.split() for line in output if line.endswith("\n")]
    return {words[1]: words[2] for words in whole if words[0] == "acknowledged"}


async def _assert_kept(root: Path, acknowledged: dict[str, str]) -> None:
    """Every document is there, whole, in the acknowledged version or a later one."""
    assert acknowledged
    async with EdgeCatalog(root) as catalog:
        index = await catalog.open("")
        documents, _ = await index.documents(TEAM, "", 100)
        versions = {one.key.document_id: one.version for one in documents}
        assert all(versions[name] >= version for name, version in acknowledged.items())
        assert await index.count(TEAM) == (len(versions), 3 * len(versions))
        assert len(versions) <= DOCUMENTS
        for one in documents:
            chunks = await index.chunks(one.key, 0, 100)
            assert [passage.document.version for passage in chunks] == [one.version] * 3
