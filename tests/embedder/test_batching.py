"""The queue in front of the model: bounded, fair, ordered; the model here is a scripted neighbour."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rag_common import errors
from rag_embedder.batching import Policy, Priority, Scheduler

ONE_LANE = Policy(lanes=1)


class GatedModel:
    """Answers each text with its first token id, once it is let; keeps the batches it was given."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = threading.Event()
        self.begun = threading.Event()

    def __call__(self, batch: list[list[int]], /) -> list[int]:
        self.batches.append([ids[0] for ids in batch])
        self.begun.set()
        assert self.open.wait(10)
        if any(ids[0] < 0 for ids in batch):
            raise ValueError("a text of another's")
        return [ids[0] for ids in batch]


def text(name: int, tokens: int = 1) -> list[int]:
    return [name] * tokens


@asynccontextmanager
async def blocked(model: GatedModel, policy: Policy) -> AsyncIterator[Scheduler[int]]:
    """A scheduler whose only lane is busy with text 0 until the model is let."""
    async with Scheduler(model, policy) as scheduler:
        busy = asyncio.create_task(scheduler.run([text(0)], Priority.QUERY))
        await asyncio.to_thread(model.begun.wait, 10)
        try:
            yield scheduler
        finally:
            model.open.set()
            await busy


async def queued(
    scheduler: Scheduler[int], names: list[list[int]], priority: Priority
) -> "asyncio.Task[list[int]]":
    """The request, in the queue already."""

    async def outputs() -> list[int]:
        return (await scheduler.run(names, priority)).outputs

    task = asyncio.create_task(outputs())
    await asyncio.sleep(0)
    return task


async def test_outputs_come_in_the_order_of_the_texts() -> None:
    model = GatedModel()
    model.open.set()
    async with Scheduler(model, Policy(lanes=3)) as scheduler:
        outcome = await scheduler.run([text(n) for n in range(20)], Priority.DOCUMENT)
    assert outcome.outputs == list(range(20))


async def test_requests_take_turns_text_by_text() -> None:
    model = GatedModel()
    async with blocked(model, ONE_LANE) as scheduler:
        first = await queued(scheduler, [text(1), text(2), text(3)], Priority.DOCUMENT)
        second = await queued(scheduler, [text(11), text(12)], Priority.DOCUMENT)
        model.open.set()
        await asyncio.gather(first, second)
    assert model.batches == [[0], [1], [11], [2], [12], [3]]


async def test_a_question_does_not_wait_for_the_passages_before_it() -> None:
    model = GatedModel()
    async with blocked(model, ONE_LANE) as scheduler:
        passages = await queued(scheduler, [text(n, 30) for n in range(1, 9)], Priority.DOCUMENT)
        question = await queued(scheduler, [text(99, 10)], Priority.QUERY)
        model.open.set()
        await asyncio.gather(passages, question)
    assert model.batches.index([99]) <= 2


async def test_questions_get_three_tokens_for_each_one_of_passages() -> None:
    model = GatedModel()
    async with blocked(model, ONE_LANE) as scheduler:
        passages = await queued(scheduler, [text(1)] * 40, Priority.DOCUMENT)
        questions = await queued(scheduler, [text(2)] * 40, Priority.QUERY)
        model.open.set()
        await asyncio.gather(passages, questions)
    while_both_wait = [name for [name] in model.batches[1:41]]
    assert while_both_wait.count(2) == pytest.approx(30, abs=2)


async def test_passages_go_on_while_questions_keep_coming() -> None:
    model = GatedModel()
    async with blocked(model, ONE_LANE) as scheduler:
        questions = [await queued(scheduler, [text(2)], Priority.QUERY) for _ in range(60)]
        passage = await queued(scheduler, [text(1)], Priority.DOCUMENT)
        model.open.set()
        await asyncio.gather(passage, *questions)
    assert model.batches.index([1]) < 10


async def test_what_its_caller_gave_up_is_not_computed() -> None:
    model = GatedModel()
    async with blocked(model, ONE_LANE) as scheduler:
        abandoned = await queued(scheduler, [text(5), text(6)], Priority.DOCUMENT)
        kept = await queued(scheduler, [text(7)], Priority.DOCUMENT)
        abandoned.cancel()
        await asyncio.gather(abandoned, return_exceptions=True)
        model.open.set()
        assert await kept == [7]
    assert model.batches == [[0], [7]]


async def test_a_full_queue_refuses_at_once_and_says_when_to_come_back() -> None:
    model = GatedModel()
    async with blocked(model, Policy(lanes=1, queue_texts=3)) as scheduler:
        waiting = await queued(scheduler, [text(1), text(2)], Priority.DOCUMENT)
        with pytest.raises(errors.ResourceExhausted) as refused:
            await scheduler.run([text(3), text(4)], Priority.QUERY)
        model.open.set()
        assert await waiting == [1, 2]
    assert refused.value.retry_after
    assert refused.value.metadata["subject"] == "embedding_queue"


async def test_there_is_room_again_when_the_queue_has_drained() -> None:
    model = GatedModel()
    model.open.set()
    async with Scheduler(model, Policy(lanes=1, queue_texts=2)) as scheduler:
        for name in range(5):
            outcome = await scheduler.run([text(name), text(name)], Priority.DOCUMENT)
            assert outcome.outputs == [name, name]


async def test_what_was_given_up_leaves_its_room_once_its_turn_has_come() -> None:
    model = GatedModel()
    async with blocked(model, Policy(lanes=1, queue_texts=2)) as scheduler:
        abandoned = await queued(scheduler, [text(1), text(2)], Priority.DOCUMENT)
        abandoned.cancel()
        await asyncio.gather(abandoned, return_exceptions=True)
        model.open.set()
    async with Scheduler(model, Policy(lanes=1, queue_texts=2)) as scheduler:
        assert (await scheduler.run([text(3), text(4)], Priority.DOCUMENT)).outputs == [3, 4]


async def test_an_error_in_computing_fails_its_batch_alone() -> None:
    model = GatedModel()
    async with blocked(model, ONE_LANE) as scheduler:
        failing = await queued(scheduler, [text(-1)], Priority.DOCUMENT)
        sound = await queued(scheduler, [text(8)], Priority.DOCUMENT)
        model.open.set()
        with pytest.raises(ValueError, match="another's"):
            await failing
        assert await sound == [8]


async def test_a_batch_fills_to_its_budget_of_tokens_with_padding() -> None:
    model = GatedModel()
    policy = Policy(lanes=1, batch_texts=64, batch_tokens=24)
    async with blocked(model, policy) as scheduler:
        texts = [text(1, 8), text(2, 8), text(3, 8), text(4, 8)]
        request = await queued(scheduler, texts, Priority.DOCUMENT)
        model.open.set()
        await request
    assert model.batches == [[0], [1, 2, 3], [4]]


async def test_a_batch_holds_texts_of_like_length() -> None:
    model = GatedModel()
    policy = Policy(lanes=1, batch_texts=2, batch_tokens=1000)
    async with blocked(model, policy) as scheduler:
        texts = [text(1, 50), text(2, 3), text(3, 49), text(4, 2)]
        request = await queued(scheduler, texts, Priority.DOCUMENT)
        model.open.set()
        assert await request == [1, 2, 3, 4]
    assert [sorted(batch) for batch in model.batches[1:]] == [[2, 4], [1, 3]]


async def test_a_text_over_the_budget_is_a_batch_of_its_own() -> None:
    model = GatedModel()
    policy = Policy(lanes=1, batch_texts=8, batch_tokens=10)
    async with blocked(model, policy) as scheduler:
        request = await queued(scheduler, [text(1, 40), text(2, 40)], Priority.DOCUMENT)
        model.open.set()
        assert await request == [1, 2]
    assert model.batches[1:] == [[1], [2]]
