"""The gauges of indexes and of the backup, on a real embedded index."""

import asyncio
import math
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from rag_contract.errors import DependencyDown
from rag_retriever.engines.edge import EdgeCatalog
from rag_retriever.engines.edge.options import OptimizerOptions
from rag_retriever.index.ports import Catalog, IndexInfo
from rag_retriever.telemetry.index_gauges import BackupAge, IndexGauges, updating_gauges
from rag_retriever.telemetry.metrics import RetrieverMetrics
from tests.support.contracts.samples import SPEC, document, put
from tests.support.recording import Recorded
from tests.support.waiting import until

OPTIONS = OptimizerOptions(due_points=20)


@asynccontextmanager
async def sampling(folder: Path) -> AsyncIterator[tuple[Recorded, Catalog, IndexGauges]]:
    recorded = Recorded()
    async with EdgeCatalog(folder, background=False, options=OPTIONS) as catalog:
        await catalog.create(SPEC)
        yield recorded, catalog, IndexGauges(catalog, RetrieverMetrics(recorded.metrics))


def gauge(recorded: Recorded, name: str, index: str = "main") -> float:
    return recorded.value(f'rag_index_{name}{{index="{index}"}}')


async def test_the_gauges_follow_the_index(tmp_path: Path) -> None:
    async with sampling(tmp_path) as (recorded, catalog, gauges):
        index = await catalog.open("")
        await gauges.update_stats()
        assert gauge(recorded, "documents") == gauge(recorded, "chunks") == 0
        blocks = sum(path.stat().st_blocks for path in (tmp_path / "main").rglob("*"))
        assert gauge(recorded, "bytes") == 512 * blocks > 0
        await put(index, document("a", passages=3))
        await put(index, document("b", tenant="other", passages=2))
        await gauges.update_stats()
        assert (gauge(recorded, "documents"), gauge(recorded, "chunks")) == (2, 5)
        assert gauge(recorded, "unoptimized_chunks") >= 5
        await catalog.optimize("")
        await gauges.update_stats()
        assert gauge(recorded, "unoptimized_chunks") == 0
        assert gauge(recorded, "optimizing") == 0


async def test_a_graph_is_due_from_the_bulk_until_it_is_built(tmp_path: Path) -> None:
    async with sampling(tmp_path) as (recorded, catalog, gauges):
        index = await catalog.open("")
        for passages, due in ((10, 0), (30, 1)):
            await put(index, document(f"d{passages}", passages=passages))
            await gauges.update_stats()
            assert gauge(recorded, "optimization_due") == due
        building = asyncio.create_task(catalog.optimize(""))
        await asyncio.sleep(0)
        await gauges.update_stats()
        assert (gauge(recorded, "optimizing"), gauge(recorded, "optimization_due")) == (1, 1)
        await building
        await gauges.update_stats()
        assert (gauge(recorded, "optimizing"), gauge(recorded, "optimization_due")) == (0, 0)


async def test_an_index_whose_chunks_are_not_what_its_documents_announce_drifts(
    tmp_path: Path,
) -> None:
    async with sampling(tmp_path) as (recorded, catalog, gauges):
        index = await catalog.open("")
        stored = await put(index, document(passages=4))
        await gauges.update_drift()
        assert gauge(recorded, "drift_chunks") == 0
        await index.publish(replace(stored, passage_count=1))
        await gauges.update_drift()
        assert gauge(recorded, "drift_chunks") == 3


async def test_an_index_that_is_gone_has_no_gauges(tmp_path: Path) -> None:
    async with sampling(tmp_path) as (recorded, catalog, gauges):
        await catalog.create(replace(SPEC, name="second"))
        await gauges.update_stats()
        await gauges.update_drift()
        assert 'index="second"' in recorded.page()
        await catalog.drop("second")
        await gauges.update_stats()
        assert 'index="second"' not in recorded.page()
        assert gauge(recorded, "documents") == 0


async def test_no_more_indexes_than_a_bound_have_gauges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_retriever.telemetry.index_gauges._MAX_INDEXES", 3)
    async with sampling(tmp_path) as (recorded, catalog, gauges):
        for number in range(4):
            await catalog.create(replace(SPEC, name=f"i{number}"))
        await gauges.update_stats()
        assert recorded.page().count("rag_index_documents{") == 3


async def test_the_gauges_are_there_soon_after_the_start(tmp_path: Path) -> None:
    async with sampling(tmp_path) as (recorded, catalog, _):
        fresh = Recorded()
        async with updating_gauges(catalog, RetrieverMetrics(fresh.metrics), tmp_path / "stamp"):
            await until(lambda: 'rag_index_drift_chunks{index="main"}' in fresh.page(), "drift")
            await until(lambda: 'rag_index_documents{index="main"}' in fresh.page(), "documents")
            await until(lambda: "rag_backup_age_seconds +Inf" in fresh.page(), "backup age")
        assert 'index="main"' not in recorded.page()


class Broken(EdgeCatalog):
    """Its engine does not answer."""

    async def list_indexes(self) -> list[IndexInfo]:
        raise DependencyDown("the vector engine does not answer")


async def test_an_engine_that_does_not_answer_is_logged_and_fails_nothing(tmp_path: Path) -> None:
    recorded = Recorded()
    with capture_logs() as lines:
        async with (
            Broken(tmp_path) as catalog,
            updating_gauges(catalog, RetrieverMetrics(recorded.metrics), None),
        ):
            await until(lambda: len(lines) >= 2, "both samples are logged")
    assert {(line["event"], line["task"], line["error"]) for line in lines} == {
        ("gauge_update_failed", "IndexGauges.update_stats", "DependencyDown"),
        ("gauge_update_failed", "IndexGauges.update_drift", "DependencyDown"),
    }


# Backups


async def test_the_backups_age_is_that_of_the_file(tmp_path: Path) -> None:
    recorded, path = Recorded(), tmp_path / "stamp"
    path.touch()
    os.utime(path, (time.time() - 3600, time.time() - 3600))
    backup_age = BackupAge(path, RetrieverMetrics(recorded.metrics))
    await backup_age.update()
    assert recorded.value("rag_backup_age_seconds") == pytest.approx(3600, abs=5)
    path.touch()
    await backup_age.update()
    assert recorded.value("rag_backup_age_seconds") < 5


async def test_a_backup_that_never_was_is_infinitely_old(tmp_path: Path) -> None:
    recorded = Recorded()
    backup_age = BackupAge(tmp_path / "nothing", RetrieverMetrics(recorded.metrics))
    assert math.isnan(recorded.value("rag_backup_age_seconds"))
    await backup_age.update()
    assert recorded.value("rag_backup_age_seconds") == math.inf
