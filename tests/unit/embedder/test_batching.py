"""Who computes next."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_contract import errors
from rag_embedder.queue.scheduler import Policy, Priority, Scheduler

QUERY, DOCUMENT = Priority.QUERY, Priority.DOCUMENT
PATIENCE = 30.0


class Device:
    """Gives each text's ids back as a tuple. While it is shut, batches wait in its threads."""

    def __init__(self) -> None:
        self.batches: list[list[list[int]]] = []
        self.fails: set[int] = set()
        self._open = threading.Event()
        self._loop = asyncio.get_running_loop()
        self.began = asyncio.Event()
        self._open.set()

    def __call__(self, batch: list[list[int]]) -> list[tuple[int, ...]]:
        self.batches.append(batch)
        self._loop.call_soon_threadsafe(self.began.set)
        assert self._open.wait(PATIENCE)
        if any(set(ids) & self.fails for ids in batch):
            raise ValueError("out of memory")
        return [tuple(ids) for ids in batch]

    def shut(self) -> None:
        self.began.clear()
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    @property
    def order(self) -> list[int]:
        """The first id of each text, as computed."""
        return [ids[0] for batch in self.batches for ids in batch]


@asynccontextmanager
async def busy(device: Device, policy: Policy) -> AsyncIterator[Scheduler[tuple[int, ...]]]:
    """A scheduler whose lanes are all in a first batch, so that what comes next waits in line."""
    async with Scheduler(device, policy) as scheduler:
        device.shut()
        lanes = [asyncio.create_task(scheduler.run([[0]], QUERY)) for _ in range(policy.lanes)]
        while len(device.batches) < policy.lanes:
            device.began.clear()
            await device.began.wait()
        device.batches.clear()
        yield scheduler
        device.open()
        await asyncio.gather(*lanes)


async def waiting(
    scheduler: Scheduler[tuple[int, ...]],
    batch: Sequence[list[int]],
    priority: Priority,
    tenant: str = "",
) -> "asyncio.Task[list[tuple[int, ...]]]":
    """A request that stands in line when this returns."""

    async def outputs() -> list[tuple[int, ...]]:
        return (await scheduler.run(batch, priority, tenant)).outputs

    task = asyncio.create_task(outputs())
    await settled()
    return task


async def settled() -> None:
    """Let every task that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


def texts(first: int, count: int, tokens: int = 1) -> list[list[int]]:
    """Texts that begin with a number each, of so many tokens."""
    return [[first + n] * tokens for n in range(count)]


# Order and fairness


@pytest.mark.parametrize("policy", [Policy(1), Policy(3), Policy(1, 8, 64), Policy(2, 3, 10)])
async def test_outputs_are_in_the_order_of_the_texts(policy: Policy) -> None:
    batch = [[n] * (1 + n * 7 % 5) for n in range(40)]
    async with Scheduler(Device(), policy) as scheduler:
        outcome = await scheduler.run(batch, DOCUMENT)
    assert outcome.outputs == [tuple(ids) for ids in batch]


async def test_requests_of_one_priority_take_turns() -> None:
    device = Device()
    async with busy(device, Policy(1)) as scheduler:
        requests = [await waiting(scheduler, texts(first, 4), DOCUMENT) for first in (10, 20, 30)]
        device.open()
        await asyncio.gather(*requests)
    assert device.order == [10, 20, 30, 11, 21, 31, 12, 22, 32, 13, 23, 33]


async def test_tenants_take_turns_however_many_requests_one_has() -> None:
    device = Device()
    async with busy(device, Policy(1)) as scheduler:
        greedy = [await waiting(scheduler, [[n]], QUERY, "greedy") for n in range(100, 150)]
        modest = [await waiting(scheduler, [[n]], QUERY, "modest") for n in (1, 2)]
        device.open()
        await asyncio.gather(*greedy, *modest)
    assert device.order[:4] == [100, 1, 101, 2]


@pytest.mark.parametrize(("size", "queue"), [(10, 4), (256, 100), (256, 255), (5, 4)])
async def test_a_request_larger_than_the_queue_is_admitted_while_others_wait(
    size: int, queue: int
) -> None:
    device = Device()
    async with busy(device, Policy(1, queue_texts=queue)) as scheduler:
        small = await waiting(scheduler, [[1]], QUERY, "small")
        large = await waiting(scheduler, texts(10, size), DOCUMENT, "large")
        with pytest.raises(errors.QueueFull):
            await scheduler.run(texts(900, size), DOCUMENT, "large")
        with pytest.raises(errors.QueueFull):
            await scheduler.run([[2]], QUERY, "small")
        device.open()
        assert (len(await small), len(await large)) == (1, size)


async def test_a_request_larger_than_its_tenants_share_is_admitted_once() -> None:
    device = Device()
    async with busy(device, Policy(1, queue_texts=40)) as scheduler:
        names = ("a", "b", "c", "d")
        small = [await waiting(scheduler, texts(1, 6), QUERY, name) for name in names]
        large = await waiting(scheduler, texts(100, 20), DOCUMENT, "large")
        with pytest.raises(errors.QueueFull):
            await scheduler.run(texts(200, 20), DOCUMENT, "larger")
        device.open()
        await asyncio.gather(*small, large)


async def test_a_full_queue_has_room_for_another_tenant() -> None:
    device = Device()
    async with busy(device, Policy(1, queue_texts=100)) as scheduler:
        greedy = [await waiting(scheduler, [[n]], QUERY, "greedy") for n in range(100, 150)]
        modest = [await waiting(scheduler, texts(1, 50), DOCUMENT, "modest")]
        with pytest.raises(errors.ResourceExhausted):
            await scheduler.run([[1]], QUERY, "greedy")
        device.open()
        await asyncio.gather(*greedy, *modest)


@pytest.mark.parametrize(("of_query", "of_document"), [(1, 1), (5, 1), (4, 32), (7, 5)])
async def test_questions_get_three_tokens_for_each_of_passages(
    of_query: int, of_document: int
) -> None:
    device = Device()
    async with busy(device, Policy(1)) as scheduler:
        documents = await waiting(scheduler, texts(5000, 300, of_document), DOCUMENT)
        queries = await waiting(scheduler, texts(1, 300, of_query), QUERY)
        device.open()
        await asyncio.gather(documents, queries)
    both = device.order[: 1 + max(device.order.index(300), 100)]
    requested = of_query * sum(first < 5000 for first in both[:200])
    stored = of_document * sum(first >= 5000 for first in both[:200])
    assert abs(requested - 3 * stored) <= 3 * (of_query + of_document)


@pytest.mark.parametrize("alone", Priority)
async def test_no_priority_lives_on_the_credit_of_a_quiet_time(alone: Priority) -> None:
    device = Device()
    async with Scheduler(device, Policy(1)) as scheduler:
        await scheduler.run(texts(1, 500, 8), alone)
        device.shut()
        first = asyncio.create_task(scheduler.run([[0]], alone))
        await device.began.wait()
        device.batches.clear()
        await compete(device, scheduler)
        await first


async def compete(device: Device, scheduler: Scheduler[tuple[int, ...]]) -> None:
    """Let both priorities come at once, and see that they share as they should."""
    documents = await waiting(scheduler, texts(5000, 40), DOCUMENT)
    queries = await waiting(scheduler, texts(1, 40), QUERY)
    device.open()
    await asyncio.gather(documents, queries)
    requested = sum(first < 5000 for first in device.order[:40])
    assert 27 <= requested <= 33


@given(
    st.lists(
        st.tuples(st.sampled_from(Priority), st.lists(st.integers(1, 9), min_size=1, max_size=6)),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([Policy(1), Policy(2), Policy(1, 4, 12), Policy(2, 64, 20)]),
)
def test_whatever_comes_everyone_gets_their_own(
    requests: list[tuple[Priority, list[int]]], policy: Policy
) -> None:
    async def run() -> None:
        batches = [
            [[100 * n + i] * tokens for i, tokens in enumerate(lengths)]
            for n, (_, lengths) in enumerate(requests)
        ]
        async with Scheduler(Device(), policy) as scheduler:
            outcomes = await asyncio.gather(
                *(
                    scheduler.run(batch, priority)
                    for batch, (priority, _) in zip(batches, requests, strict=True)
                )
            )
        assert [o.outputs for o in outcomes] == [[tuple(ids) for ids in b] for b in batches]

    asyncio.run(run())


# Batches


async def test_on_a_gpu_texts_of_one_length_are_computed_together() -> None:
    device = Device()
    lengths = [9, 1, 5, 3, 7, 2, 8, 4, 6]
    async with busy(device, Policy(1, 3, 1000)) as scheduler:
        request = await waiting(scheduler, [[n] * n for n in lengths], DOCUMENT)
        device.open()
        outputs = await request
    assert [[len(ids) for ids in batch] for batch in device.batches] == [
        [1, 2, 3],
        [4, 5, 6],
        [7, 8, 9],
    ]
    assert [len(output) for output in outputs] == lengths


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=50), st.integers(1, 16), st.integers(1, 100)
)
def test_a_batch_keeps_to_its_texts_and_its_padded_tokens(
    lengths: list[int], most_texts: int, most_tokens: int
) -> None:
    async def run() -> list[list[list[int]]]:
        device = Device()
        async with Scheduler(device, Policy(1, most_texts, most_tokens)) as scheduler:
            await scheduler.run([[n] * n for n in lengths], DOCUMENT)
        return device.batches

    for batch in asyncio.run(run()):
        assert len(batch) <= most_texts
        assert len(batch) == 1 or len(batch) * max(map(len, batch)) <= most_tokens


# Callers that leave


async def test_who_leaves_the_queue_makes_room_at_once_and_is_not_computed() -> None:
    device = Device()
    async with busy(device, Policy(1, queue_texts=3)) as scheduler:
        leaving = await waiting(scheduler, texts(10, 3), DOCUMENT)
        leaving.cancel()
        await settled()
        staying = await waiting(scheduler, texts(20, 3), DOCUMENT)
        device.open()
        assert len(await staying) == 3
    assert device.order == [20, 21, 22]


async def test_who_leaves_in_the_middle_of_a_batch_harms_nobody_in_it() -> None:
    device = Device()
    async with Scheduler(device, Policy(1, 8, 100)) as scheduler:
        device.shut()
        leaving = await waiting(scheduler, [[1]], QUERY)
        staying = await waiting(scheduler, [[2]], QUERY)
        await device.began.wait()
        leaving.cancel()
        await settled()
        device.open()
        assert await staying == [(2,)]


# Bounds


async def test_a_full_queue_refuses_at_once_with_a_time_to_come_back() -> None:
    device = Device()
    async with busy(device, Policy(1, queue_texts=4)) as scheduler:
        inside = await waiting(scheduler, texts(10, 3), DOCUMENT)
        with pytest.raises(errors.ResourceExhausted) as caught:
            await scheduler.run(texts(20, 2), QUERY)
        device.open()
        assert len(await inside) == 3
        assert len((await scheduler.run(texts(10, 4), DOCUMENT)).outputs) == 4
    assert caught.value.retry_after
    assert 0.05 <= caught.value.retry_after <= 30
    assert not any(first >= 20 for first in device.order)


# Errors


async def test_an_error_fails_its_batch_alone() -> None:
    device = Device()
    device.fails = {11}
    async with busy(device, Policy(1)) as scheduler:
        bad = await waiting(scheduler, texts(11, 1), DOCUMENT)
        good = await waiting(scheduler, texts(20, 3), DOCUMENT)
        device.open()
        with pytest.raises(ValueError, match="out of memory"):
            await bad
        assert len(await good) == 3


async def test_after_an_error_the_rest_of_the_request_is_given_up() -> None:
    device = Device()
    device.fails = {10}
    async with busy(device, Policy(1)) as scheduler:
        bad = await waiting(scheduler, texts(10, 5), DOCUMENT)
        device.open()
        with pytest.raises(ValueError, match="out of memory"):
            await bad
        assert (await scheduler.run([[7]], QUERY)).outputs == [(7,)]
    assert len(device.order) <= 3


@pytest.mark.parametrize("wrong", [0, 3])
async def test_too_few_or_too_many_outputs_are_an_error_and_no_standstill(wrong: int) -> None:
    def compute(batch: list[list[int]]) -> list[int]:
        return [0] * (wrong if batch == [[9]] else len(batch))

    async with Scheduler(compute, Policy(1)) as scheduler:
        with pytest.raises(ValueError, match="zip"):
            await scheduler.run([[9]], QUERY)
        assert (await scheduler.run([[1]], QUERY)).outputs == [0]


async def test_a_text_without_tokens_is_no_standstill() -> None:
    async with Scheduler(Device(), Policy(1)) as scheduler:
        assert (await scheduler.run([[]], QUERY)).outputs == [()]
        assert (await scheduler.run([[1]], QUERY)).outputs == [(1,)]


# Closing


async def test_closing_ends_what_waits_and_what_runs() -> None:
    device = Device()
    scheduler = Scheduler(device, Policy(1))
    async with scheduler:
        device.shut()
        running = await waiting(scheduler, [[1]], QUERY)
        await device.began.wait()
        standing = await waiting(scheduler, texts(10, 3), DOCUMENT)
        opening = threading.Timer(0, device.open)
        opening.start()
    for request in (running, standing):
        with pytest.raises(errors.Draining):
            await request
    assert 10 not in device.order
    with pytest.raises(errors.Draining):
        await scheduler.run([[1]], QUERY)
