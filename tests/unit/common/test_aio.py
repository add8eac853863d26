"""Background work: it runs beside a block, goes on after a failure, and ends with the block."""

import asyncio

import pytest
from structlog.testing import capture_logs

from rag_common.aio import BackgroundTasks, background, cancel, periodic, repeat


class Counter:
    """Counts its runs and fails in those that `failing` names."""

    def __init__(self, *failing: int) -> None:
        self.runs = 0
        self.reached = asyncio.Event()
        self._failing = failing

    async def __call__(self) -> None:
        self.runs += 1
        if self.runs == 3:
            self.reached.set()
        if self.runs in self._failing:
            raise OSError("unreachable")


async def test_periodic_work_runs_again_after_a_failure_and_logs_it_once() -> None:
    counter = Counter(1, 2)
    with capture_logs() as lines:
        async with periodic(counter, 0.001, immediately=True, event="count_failed"):
            await counter.reached.wait()
    assert [(line["event"], line["task"], line["error"]) for line in lines] == [
        ("count_failed", "Counter", "OSError")
    ]


async def test_periodic_work_ends_with_its_block() -> None:
    counter = Counter()
    async with periodic(counter, 0.001):
        await counter.reached.wait()
    runs = counter.runs
    await asyncio.sleep(0.01)  # Ten intervals: a task that still ran would have counted.
    assert counter.runs == runs


async def test_a_run_over_its_timeout_is_ended_and_the_next_one_takes_place() -> None:
    hung, second = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        if hung.is_set():
            second.set()
        hung.set()
        await asyncio.Event().wait()

    async with background(repeat(work, 0.001, immediately=True, timeout=0.005)):
        await asyncio.wait_for(second.wait(), 10)


async def test_an_interval_may_change() -> None:
    counter = Counter()
    intervals = iter([0.0, 0.0, 0.0, 3600.0])
    async with periodic(counter, lambda: next(intervals)):
        await asyncio.wait_for(counter.reached.wait(), 10)
    assert counter.runs == 3


async def test_a_background_task_that_fails_is_logged_and_ends_nothing_else() -> None:
    async def fail() -> None:
        raise ValueError("broken")

    counter, failed = Counter(), asyncio.Event()

    async def wait() -> None:
        failed.set()
        await asyncio.Event().wait()

    with capture_logs() as lines:
        async with background(fail(), wait()):
            await failed.wait()
            await counter()
    assert [line["event"] for line in lines] == ["background_task_failed"]


async def test_cancelled_tasks_have_ended_and_their_errors_are_dropped() -> None:
    async def fail() -> None:
        raise ValueError("broken")

    failing, waiting = asyncio.create_task(fail()), asyncio.create_task(asyncio.sleep(3600))
    await asyncio.sleep(0)
    await cancel(failing, waiting)
    assert (failing.done(), waiting.cancelled()) == (True, True)


async def test_work_goes_on_after_its_caller_is_cancelled() -> None:
    tasks, proceed, finished = BackgroundTasks(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await proceed.wait()
        finished.set()

    caller = asyncio.create_task(tasks.run(work()))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    proceed.set()
    await tasks.join()
    assert finished.is_set()


async def test_what_a_cancelled_caller_acquired_is_undone() -> None:
    tasks, proceed = BackgroundTasks(), asyncio.Event()
    undone: list[int] = []

    async def work() -> int:
        await proceed.wait()
        return 7

    async def undo(result: int) -> None:
        undone.append(result)

    caller = asyncio.create_task(tasks.acquire(work(), undo))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    proceed.set()
    await tasks.join()
    assert undone == [7]
