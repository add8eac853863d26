"""Spans and metrics of the queue and the batches, with the SDK's own recording and a real scheduler."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from rag_common.observability.tracing import CANCELLED
from rag_embedder.queue.scheduler import Policy, Priority, Scheduler
from rag_embedder.telemetry.metrics import EmbedderMetrics
from rag_embedder.telemetry.queue import QueueInstrumentation, register_gauges
from tests.support.recording import Recorded, below, linked, span_id, told, trace_id, words
from tests.unit.embedder.test_batching import Device, settled, texts

QUERY, DOCUMENT = Priority.QUERY, Priority.DOCUMENT
MODEL = "small"


@dataclass
class Served:
    """A scheduler that is watched, its device, and what was recorded."""

    recorded: Recorded
    device: Device
    scheduler: Scheduler[tuple[int, ...]]

    async def call(
        self, name: str, batch: Sequence[list[int]], priority: Priority = QUERY
    ) -> list[tuple[int, ...]]:
        """One request, as a server's call of this name."""
        with self.recorded.telemetry.serving(name, None, {}):
            return (await self.scheduler.run(batch, priority)).outputs

    async def waiting(
        self, name: str, batch: Sequence[list[int]], priority: Priority = QUERY
    ) -> "asyncio.Task[list[tuple[int, ...]]]":
        """A request that stands in line when this returns."""
        task = asyncio.create_task(self.call(name, batch, priority))
        await settled()
        return task

    async def held(self) -> "asyncio.Task[list[tuple[int, ...]]]":
        """A request in the one lane, so that what comes next waits."""
        self.device.shut()
        task = asyncio.create_task(self.call("held", [[0]]))
        await self.device.began.wait()
        return task

    def one(self, name: str, of: str) -> ReadableSpan:
        """The one span of this name below the call of that name."""
        [call] = self.recorded.spans(of)
        [result] = [one for one in self.recorded.spans(name) if below(one, call)]
        return result


@asynccontextmanager
async def watched(policy: Policy) -> AsyncIterator[Served]:
    recorded, device = Recorded(), Device()
    instruments = EmbedderMetrics(recorded.metrics)
    scheduler = Scheduler(device, policy, QueueInstrumentation(instruments, MODEL))
    register_gauges(instruments, scheduler, policy)
    async with scheduler:
        try:
            yield Served(recorded, device, scheduler)
        finally:
            device.open()


# Spans


async def test_a_request_has_a_span_in_the_queue_and_one_in_the_model() -> None:
    async with watched(Policy(1)) as served:
        await served.call("Embed", [[5, 6, 7]])
    queue, batch = served.one("embed.queue", "Embed"), served.one("embed.batch", "Embed")
    [call] = served.recorded.spans("Embed")
    assert call.start_time <= queue.start_time <= queue.end_time
    assert abs(queue.end_time - batch.start_time) < 1_000_000
    assert batch.start_time < batch.end_time <= call.end_time
    assert told(batch, "gen_ai.operation.name", "gen_ai.request.model") == ["embeddings", MODEL]
    assert told(batch, "rag.texts", "rag.tokens") == [1, 3]
    assert told(queue, "rag.priority") == ["query"]


async def test_many_texts_of_a_request_are_no_more_spans_than_one() -> None:
    async with watched(Policy(2)) as served:
        await served.call("Embed", texts(1, 16, 4), DOCUMENT)
    assert len(served.recorded.kept.spans) == 3
    batch = served.one("embed.batch", "Embed")
    assert told(batch, "rag.batches", "rag.texts", "rag.tokens") == [16, 16, 64]


async def test_a_batch_of_several_requests_is_linked_with_each() -> None:
    async with watched(Policy(1, 8, 100)) as served:
        held = await served.held()
        requests = [await served.waiting(name, [[n]]) for n, name in enumerate("ABC", 1)]
        served.device.open()
        await asyncio.gather(held, *requests)
    batch = served.one("embed.batch", "A")
    [_], [second], [third] = (served.recorded.spans(name) for name in "ABC")
    assert linked(batch) == {span_id(second), span_id(third)}
    for name in "BC":
        assert linked(served.one("embed.queue", name)) == {span_id(batch)}
    assert linked(served.one("embed.queue", "A")) == set()
    assert told(batch, "rag.texts", "rag.requests") == [3, 3]
    assert len(served.recorded.spans("embed.batch")) == 2


async def test_a_request_in_many_shared_batches_has_a_bounded_number_of_spans() -> None:
    async with watched(Policy(1, 2, 100)) as served:
        held = await served.held()
        first = await served.waiting("A", texts(10, 40), DOCUMENT)
        second = await served.waiting("B", texts(60, 40), DOCUMENT)
        served.device.open()
        await asyncio.gather(held, first, second)
    assert len(served.recorded.kept.spans) <= 3 + 3 + 3 * 8
    assert len(linked(served.one("embed.queue", "B"))) <= 8


async def test_who_leaves_the_queue_ends_its_span_as_cancelled_and_waits_no_longer() -> None:
    async with watched(Policy(1)) as served:
        held = await served.held()
        leaving = await served.waiting("Embed", [[1]])
        assert served.recorded.value('rag_embed_queue_texts{priority="query"}') == 1
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert served.recorded.value('rag_embed_queue_texts{priority="query"}') == 0
        served.device.open()
        await held
    queue = served.one("embed.queue", "Embed")
    assert queue.status.description == CANCELLED
    [held_call] = served.recorded.spans("held")
    assert all(below(batch, held_call) for batch in served.recorded.spans("embed.batch"))


async def test_who_leaves_in_the_middle_of_a_batch_still_has_it_in_its_trace() -> None:
    async with watched(Policy(1)) as served:
        held = await served.held()
        held.cancel()
        await asyncio.gather(held, return_exceptions=True)
        served.device.open()
        await served.call("next", [[1]])
    assert served.one("embed.batch", "held").status.description == CANCELLED
    assert served.one("embed.queue", "held").status.is_ok


async def test_a_failed_batch_names_the_errors_type_and_nothing_of_its_text() -> None:
    async with watched(Policy(1)) as served:
        served.device.fails = {13}
        with pytest.raises(ValueError, match="out of memory"):
            await served.call("Embed", [[13]])
    batch = served.one("embed.batch", "Embed")
    assert batch.status.description == "ValueError"
    assert "out of memory" not in words(batch)


async def test_closing_ends_the_spans_of_what_waits() -> None:
    async with watched(Policy(1)) as served:
        held = await served.held()
        standing = await served.waiting("Embed", [[1]])
    await asyncio.gather(held, standing, return_exceptions=True)
    queue = served.one("embed.queue", "Embed")
    assert told(queue, "error.type") == ["DRAINING"]


async def test_a_batch_is_in_the_trace_of_the_first_request_that_is_recorded() -> None:
    async with watched(Policy(1, 8, 100)) as served:
        held = await served.held()
        unseen = asyncio.create_task(served.scheduler.run([[1]], QUERY))
        await settled()
        observed = await served.waiting("Embed", [[2]])
        served.device.open()
        await asyncio.gather(held, unseen, observed)
    assert linked(served.one("embed.batch", "Embed")) == set()


# Metrics


async def test_the_gauges_say_what_waits_and_what_runs() -> None:
    async with watched(Policy(1, queue_texts=100)) as served:
        held = await served.held()
        passages = await served.waiting("P", texts(10, 3, 5), DOCUMENT)
        question = await served.waiting("Q", texts(1, 1, 2))
        value = served.recorded.value
        assert value('rag_embed_queue_texts{priority="document"}') == 3
        assert value('rag_embed_queue_texts{priority="query"}') == 1
        assert value("rag_embed_queue_tokens") == 17
        assert value("rag_embed_queue_capacity") == 100
        assert value("rag_embed_lanes") == value("rag_embed_lanes_busy") == 1
        first = value("rag_embed_queue_oldest_seconds")
        assert 0 < first < value("rag_embed_queue_oldest_seconds")
        served.device.open()
        await asyncio.gather(held, passages, question)
        assert value("rag_embed_queue_oldest_seconds") == 0
        assert value("rag_embed_lanes_busy") == 0
        assert value("rag_embed_queue_tokens") == 0
        assert value('rag_embed_queue_texts{priority="document"}') == 0


async def test_the_oldest_is_the_request_that_came_first_whoevers_turn_it_is() -> None:
    async with watched(Policy(1)) as served:
        held = await served.held()
        first = await served.waiting("A", texts(10, 3), DOCUMENT)
        since = asyncio.get_running_loop().time()
        later = [await served.waiting("B", texts(20, 3), QUERY) for _ in range(3)]
        age = asyncio.get_running_loop().time() - since
        assert served.recorded.value("rag_embed_queue_oldest_seconds") >= age
        served.device.open()
        await asyncio.gather(held, first, *later)


async def test_batches_are_counted_with_the_trace_they_belong_to() -> None:
    async with watched(Policy(1, 8, 100)) as served:
        await served.call("Embed", texts(1, 4, 3), DOCUMENT)
    value = served.recorded.value
    assert value("rag_embed_batch_texts_count") == 1
    assert value("rag_embed_batch_texts_sum") == 4
    assert value("rag_embed_batch_tokens_sum") == 12
    assert value('rag_embed_texts_total{priority="document"}') == 4
    assert value('rag_embed_tokens_total{priority="document"}') == 12
    assert value('rag_embed_wait_seconds_count{priority="document"}') == 1
    [call] = served.recorded.spans("Embed")
    trace = f'trace_id="{trace_id(call)}"'
    for name in ("rag_embed_batch_seconds", "rag_embed_wait_seconds"):
        buckets = [line for line in served.recorded.page().splitlines() if f"{name}_bucket" in line]
        assert any(trace in line for line in buckets), name


async def test_nothing_is_recorded_and_all_is_counted_where_no_span_runs() -> None:
    async with watched(Policy(1)) as served:
        assert (await served.scheduler.run([[1]], QUERY)).outputs == [(1,)]
    assert served.recorded.kept.spans == []
    assert served.recorded.value('rag_embed_texts_total{priority="query"}') == 1
