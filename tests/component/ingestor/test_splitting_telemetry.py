"""What splitting tells, with real worker processes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rag_contract.errors import InvalidArgument, Overloaded
from rag_ingestor.chunking.chunks import SourceFile
from rag_ingestor.sandbox.pool import SplitterPool, WorkerSettings
from rag_ingestor.telemetry.metrics import IngestorMetrics
from tests.component.ingestor.test_worker import SLOW, workers
from tests.support.recording import Recorded, below, told, words
from tests.support.waiting import until

MARK = "표식-7f3a9c"
MARKED = SourceFile(f"# {MARK}\n\n{MARK}는 15일이다.\n".encode(), f"{MARK}.md")
PLAIN = SourceFile(b"One sentence. Another.", "a.txt")
BROKEN = SourceFile(b"%PDF-1.4 nothing", "a.pdf")


@asynccontextmanager
async def splitting(**settings: float) -> AsyncIterator[tuple[Recorded, SplitterPool]]:
    recorded = Recorded()
    bounds = WorkerSettings(**settings)  # type: ignore[arg-type]
    async with SplitterPool(settings=bounds, metrics=IngestorMetrics(recorded.metrics)) as splitter:
        yield recorded, splitter


def counted(recorded: Recorded, media_type: str, outcome: str) -> float:
    labels = f'{{media_type="{media_type}",outcome="{outcome}"}}'
    return recorded.value(f"rag_split_duration_seconds_count{labels}")


async def test_a_document_has_a_span_and_its_workers_work_another() -> None:
    async with splitting() as (recorded, splitter):
        with recorded.telemetry.serving("SplitDocument", None, {}):
            assert (await splitter.split(MARKED)).title == MARK
            await splitter.split(MARKED)
        [worker] = workers()
        [split, _], [parse, second] = recorded.spans("split"), recorded.spans("parse")
    assert len(recorded.spans("start_worker")) == 1
    assert told(second, "rag.worker_documents") == [1]
    assert below(parse, split)
    assert told(split, "rag.media_type", "rag.outcome") == ["text/markdown", "ok"]
    assert told(split, "rag.chunks", "rag.bytes") == [1, len(MARKED.content)]
    assert told(parse, "rag.worker_pid", "rag.worker_documents") == [worker, 0]
    [waited], [output] = told(split, "rag.wait_seconds"), told(parse, "rag.worker_seconds")
    assert isinstance(waited, float)
    assert isinstance(output, float)
    assert 0 < output <= (parse.end_time - parse.start_time) / 1e9
    assert counted(recorded, "text/markdown", "ok") == 2
    assert not any("7f3a9c" in words(span) for span in recorded.kept.spans)
    assert "7f3a9c" not in recorded.page()


async def test_a_document_that_cannot_be_read_is_refused_and_plain_text_needs_no_worker() -> None:
    async with splitting() as (recorded, splitter):
        await splitter.split(PLAIN)
        assert workers() == []
        with recorded.telemetry.serving("SplitDocument", None, {}), pytest.raises(InvalidArgument):
            await splitter.split(BROKEN)
    [split] = recorded.spans("split")
    assert told(split, "rag.outcome", "rag.media_type") == ["refused", "unknown"]
    assert counted(recorded, "unknown", "refused") == counted(recorded, "text/plain", "ok") == 1


async def test_the_gauges_say_who_works_and_who_waits_and_a_cancelled_call_ends_its_span() -> None:
    async with splitting(workers=1, queue_limit=1) as (recorded, splitter):

        async def call() -> None:
            with recorded.telemetry.serving("SplitDocument", None, {}):
                await splitter.split(SLOW)

        first = asyncio.create_task(call())
        await until(lambda: recorded.value("rag_split_workers_busy") == 1, "one works")
        second = asyncio.create_task(splitter.split(MARKED))
        await until(lambda: recorded.value("rag_split_waiting") == 1, "one waits")
        assert recorded.value("rag_split_workers_busy") == recorded.value("rag_split_workers") == 1
        with pytest.raises(Overloaded):
            await splitter.split(MARKED)
        first.cancel()
        await second
        await asyncio.gather(first, return_exceptions=True)
        assert recorded.value("rag_split_waiting") == recorded.value("rag_split_workers_busy") == 0
    assert counted(recorded, "unknown", "cancelled") == 1
    assert counted(recorded, "unknown", "overloaded") == 1
    [split] = recorded.spans("split")
    assert told(split, "error.type", "rag.outcome") == ["CANCELLED", "cancelled"]
