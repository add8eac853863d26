"""What splitting tells, with real worker processes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rag_common.errors import InvalidArgument, Overloaded
from rag_retriever.adapters.splitter import Splitter, WorkerSettings
from rag_retriever.instruments import Instruments
from rag_retriever.splitting import Document
from tests.recording import Recorded, below, told, words
from tests.retriever.test_worker import SLOW, workers
from tests.waiting import until

MARK = "표식-7f3a9c"
MARKED = Document(f"# {MARK}\n\n{MARK}는 15일이다.\n".encode(), f"{MARK}.md")
PLAIN = Document(b"One sentence. Another.", "a.txt")
BROKEN = Document(b"%PDF-1.4 nothing", "a.pdf")


@asynccontextmanager
async def splitting(**settings: float) -> AsyncIterator[tuple[Recorded, Splitter]]:
    recorded = Recorded()
    bounds = WorkerSettings(**settings)  # type: ignore[arg-type]
    async with Splitter(settings=bounds, instruments=Instruments(recorded.metrics)) as splitter:
        yield recorded, splitter


def counted(recorded: Recorded, media_type: str, outcome: str) -> float:
    labels = f'{{media_type="{media_type}",outcome="{outcome}"}}'
    return recorded.value(f"rag_split_duration_seconds_count{labels}")


async def test_a_document_has_a_span_and_its_workers_work_another() -> None:
    async with splitting() as (recorded, splitter):
        with recorded.telemetry.serving("SplitDocument", None, {}):
            await splitter.split(MARKED)
        [worker] = workers()
        [split], [parse] = recorded.spans("split"), recorded.spans("parse")
    assert below(parse, split)
    assert told(split, "rag.media_type", "rag.outcome") == ["text/markdown", "ok"]
    assert told(split, "rag.chunks", "rag.bytes") == [1, len(MARKED.content)]
    assert told(parse, "rag.worker_pid", "rag.worker_documents") == [worker, 0]
    [waited], [said] = told(split, "rag.wait_seconds"), told(parse, "rag.worker_seconds")
    assert isinstance(waited, float)
    assert isinstance(said, float)
    assert 0 < said <= (parse.ended - parse.began) / 1e9
    assert counted(recorded, "text/markdown", "ok") == 1


async def test_starting_a_worker_is_seen_apart_from_its_work() -> None:
    async with splitting() as (recorded, splitter):
        with recorded.telemetry.serving("SplitDocument", None, {}):
            await splitter.split(MARKED)
            await splitter.split(MARKED)
    assert len(recorded.spans("start_worker")) == 1
    assert [told(one, "rag.worker_documents") for one in recorded.spans("parse")] == [[0], [1]]


async def test_nothing_of_the_document_is_in_a_span_or_a_metric() -> None:
    async with splitting() as (recorded, splitter):
        with recorded.telemetry.serving("SplitDocument", None, {}):
            assert (await splitter.split(MARKED)).title == MARK
    assert len(recorded.kept.spans) == 4
    assert not any("7f3a9c" in words(span) for span in recorded.kept.spans)
    assert "7f3a9c" not in recorded.page()


async def test_plain_text_needs_no_worker() -> None:
    async with splitting() as (recorded, splitter):
        with recorded.telemetry.serving("SplitDocument", None, {}):
            await splitter.split(PLAIN)
    assert recorded.spans("parse") == []
    assert counted(recorded, "text/plain", "ok") == 1


async def test_a_document_that_cannot_be_read_is_refused_not_failed() -> None:
    async with splitting() as (recorded, splitter):
        with recorded.telemetry.serving("SplitDocument", None, {}), pytest.raises(InvalidArgument):
            await splitter.split(BROKEN)
    [split] = recorded.spans("split")
    assert told(split, "rag.outcome", "rag.media_type") == ["refused", "unknown"]
    assert counted(recorded, "unknown", "refused") == 1


async def test_the_gauges_say_who_works_and_who_waits() -> None:
    async with splitting(workers=1, waiting=1) as (recorded, splitter):
        first = asyncio.create_task(splitter.split(SLOW))
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


async def test_a_cancelled_call_ends_its_spans() -> None:
    async with splitting(workers=1) as (recorded, splitter):

        async def call() -> None:
            with recorded.telemetry.serving("SplitDocument", None, {}):
                await splitter.split(SLOW)

        task = asyncio.create_task(call())
        await until(lambda: len(workers()) == 1, "a worker runs")
        await until(lambda: recorded.spans("start_worker"), "it is asked")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    [split] = recorded.spans("split")
    assert told(split, "error.type", "rag.outcome") == ["CANCELLED", "cancelled"]
