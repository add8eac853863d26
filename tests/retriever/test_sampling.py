"""The gauges of indexes and of the backup, on a real embedded index."""

import math
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from rag_common.errors import Unavailable
from rag_retriever.adapters.edge import EdgeCatalog
from rag_retriever.instruments import Instruments
from rag_retriever.ports import Catalog, IndexInfo
from rag_retriever.sampling import Sampler, Stamp, sampled
from tests.contracts.samples import SPEC, document, put
from tests.recording import Recorded
from tests.waiting import until


@asynccontextmanager
async def sampling(folder: Path) -> AsyncIterator[tuple[Recorded, Catalog, Sampler]]:
    recorded = Recorded()
    async with EdgeCatalog(folder, background=False) as catalog:
        yield recorded, catalog, Sampler(catalog, Instruments(recorded.metrics))


def gauge(recorded: Recorded, name: str, index: str = "main") -> float:
    return recorded.value(f'rag_index_{name}{{index="{index}"}}')


async def test_the_gauges_follow_the_index(tmp_path: Path) -> None:
    async with sampling(tmp_path) as (recorded, catalog, sampler):
        await catalog.create(SPEC)
        index = await catalog.open("")
        await sampler.sizes()
        assert gauge(recorded, "documents") == gauge(recorded, "chunks") == 0
        await put(index, document("a", passages=3))
        await put(index, document("b", tenant="other", passages=2))
        await sampler.sizes()
        assert (gauge(recorded, "documents"), gauge(recorded, "chunks")) == (2, 5)
        written = gauge(recorded, "unoptimized_chunks")
        assert written >= 5
        await catalog.optimize("")
        await sampler.sizes()
        assert gauge(recorded, "unoptimized_chunks") == 0
        assert gauge(recorded, "optimizing") == 0


async def test_bytes_are_those_on_disk(tmp_path: Path) -> None:
    async with sampling(tmp_path) as (recorded, catalog, sampler):
        await catalog.create(SPEC)
        await sampler.sizes()
        blocks = sum(path.stat().st_blocks for path in (tmp_path / "main").rglob("*"))
        assert gauge(recorded, "bytes") == 512 * blocks > 0


async def test_an_index_whose_chunks_are_not_what_its_documents_announce_drifts(
    tmp_path: Path,
) -> None:
    async with sampling(tmp_path) as (recorded, catalog, sampler):
        await catalog.create(SPEC)
        index = await catalog.open("")
        stored = await put(index, document(passages=4))
        await sampler.drifts()
        assert gauge(recorded, "drift_chunks") == 0
        await index.publish(replace(stored, passage_count=1))
        await sampler.drifts()
        assert gauge(recorded, "drift_chunks") == 3


async def test_an_index_that_is_gone_has_no_gauges(tmp_path: Path) -> None:
    async with sampling(tmp_path) as (recorded, catalog, sampler):
        await catalog.create(SPEC)
        await catalog.create(replace(SPEC, name="second"))
        await sampler.sizes()
        await sampler.drifts()
        assert 'index="second"' in recorded.page()
        await catalog.drop("second")
        await sampler.sizes()
        assert 'index="second"' not in recorded.page()
        assert gauge(recorded, "documents") == 0


async def test_no_more_indexes_than_a_bound_have_gauges(tmp_path: Path) -> None:
    async with sampling(tmp_path) as (recorded, catalog, sampler):
        for number in range(34):
            await catalog.create(replace(SPEC, name=f"i{number:02}"))
        await sampler.sizes()
        assert recorded.page().count("rag_index_documents{") == 32


async def test_the_gauges_are_there_soon_after_the_start(tmp_path: Path) -> None:
    async with sampling(tmp_path) as (recorded, catalog, _):
        await catalog.create(SPEC)
        fresh = Recorded()
        async with sampled(catalog, Instruments(fresh.metrics), tmp_path / "stamp"):
            await until(lambda: 'rag_index_drift_chunks{index="main"}' in fresh.page(), "drift")
            await until(lambda: 'rag_index_documents{index="main"}' in fresh.page(), "documents")
            await until(lambda: "rag_backup_age_seconds +Inf" in fresh.page(), "backup age")
        assert 'index="main"' not in recorded.page()


class Broken(EdgeCatalog):
    """Its engine does not answer."""

    async def list(self) -> list[IndexInfo]:
        raise Unavailable("the vector engine does not answer")


async def test_an_engine_that_does_not_answer_is_logged_and_fails_nothing(tmp_path: Path) -> None:
    recorded = Recorded()
    with capture_logs() as lines:
        async with (
            Broken(tmp_path) as catalog,
            sampled(catalog, Instruments(recorded.metrics), None),
        ):
            await until(lambda: len(lines) >= 2, "both samples are logged")
    assert {(line["event"], line["sample"], line["error"]) for line in lines} == {
        ("sample_failed", "sizes", "Unavailable"),
        ("sample_failed", "drifts", "Unavailable"),
    }


# Backups


async def test_the_backups_age_is_that_of_the_file(tmp_path: Path) -> None:
    recorded, path = Recorded(), tmp_path / "stamp"
    path.touch()
    os.utime(path, (time.time() - 3600, time.time() - 3600))
    stamp = Stamp(path, Instruments(recorded.metrics))
    await stamp.look()
    assert recorded.value("rag_backup_age_seconds") == pytest.approx(3600, abs=5)
    path.touch()
    await stamp.look()
    assert recorded.value("rag_backup_age_seconds") < 5


async def test_a_backup_that_never_was_is_infinitely_old(tmp_path: Path) -> None:
    recorded = Recorded()
    stamp = Stamp(tmp_path / "nothing", Instruments(recorded.metrics))
    assert math.isnan(recorded.value("rag_backup_age_seconds"))
    await stamp.look()
    assert recorded.value("rag_backup_age_seconds") == math.inf


async def test_without_a_file_to_look_at_the_age_is_no_number() -> None:
    recorded = Recorded()
    Instruments(recorded.metrics)
    assert math.isnan(recorded.value("rag_backup_age_seconds"))
