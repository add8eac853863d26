"""Batches the texts of a bounded, fair queue for a model, by a policy for each kind of device."""

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum
from time import monotonic
from typing import Generic, Protocol, TypeVar

from rag_common.aio import cancel
from rag_contract import errors
from rag_embedder.queue.events import Batch, Observer, RequestInfo, Unobserved
from rag_embedder.queue.fair_queue import Job, WeightedFairQueue

Output = TypeVar("Output")
Computed = TypeVar("Computed", covariant=True)

# Queries get three times the tokens of documents while both wait.
_WEIGHTS = (3.0, 1.0)


class Priority(IntEnum):
    """Queries have a user waiting; documents are ingested in the background."""

    QUERY = 0
    DOCUMENT = 1


class Compute(Protocol[Computed]):
    """Runs a batch of token id lists on the device, in a thread; returns one output for each."""

    def __call__(self, batch: list[list[int]], /) -> Iterable[Computed]: ...


@dataclass(frozen=True, slots=True)
class Policy:
    """Batching limits: `lanes` concurrent batches of at most `batch_texts` texts and `batch_tokens` tokens.

    `batch_tokens` include padding; a single text may exceed them. `queue_texts` is the capacity of
    the queue. On a CPU one lane per core with one text each is fastest; a GPU is fastest with one
    lane and large batches.
    """

    lanes: int
    batch_texts: int = 1
    batch_tokens: int = 0
    queue_texts: int = 2048


@dataclass(frozen=True, slots=True)
class ComputeResult(Generic[Output]):
    """Outputs in the order of the texts; the longest wait and the total compute time, in seconds."""

    outputs: list[Output]
    queue_seconds: float
    compute_seconds: float


class Scheduler(Generic[Output]):
    """Feeds a model from the queue. Priorities share its tokens three to one; tenants alternate.

    An async context manager: its lanes run inside the block. Leaving it fails the waiting requests
    with Draining.
    """

    def __init__(
        self, compute: Compute[Output], policy: Policy, observer: Observer | None = None
    ) -> None:
        self._compute = compute
        self._policy = policy
        self._observer = observer or Unobserved()
        self.busy = 0
        self._queue: WeightedFairQueue[Output] = WeightedFairQueue(_WEIGHTS)
        self._seconds_per_token = 0.0005
        self._wakeup = asyncio.Event()
        self._closed = False
        self._pool = ThreadPoolExecutor(policy.lanes, "model")
        self._lanes: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Scheduler[Output]":
        self._lanes = [asyncio.create_task(self._lane()) for _ in range(self._policy.lanes)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        await cancel(*self._lanes)
        _fail(self._queue, _closing())
        await asyncio.to_thread(self._pool.shutdown)

    async def run(
        self, batch: Sequence[list[int]], priority: Priority, tenant: str = ""
    ) -> ComputeResult[Output]:
        """Compute the texts of a request, each a list of token ids; there must be at least one.

        Cancelling removes the texts that have not begun. The request counts against the queue share
        of `tenant`. Raises ResourceExhausted at once, with a retry delay, if the queue has no room
        for all texts within that share, and Draining if the scheduler is closing.
        """
        self._admit(batch, tenant)
        loop = asyncio.get_running_loop()
        info = RequestInfo(priority, len(batch), sum(map(len, batch)))
        jobs = [Job[Output](ids, loop.create_future(), info) for ids in batch]
        request = self._queue.add(self._in_order(jobs), priority, tenant)
        self._wakeup.set()
        self._observer.on_enqueue(info)
        try:
            outputs = await asyncio.gather(*(job.future for job in jobs))
        except BaseException as error:
            self._observer.on_done(info, _waited(jobs), error)
            raise
        finally:
            self._queue.remove(request)
        self._observer.on_done(info, _waited(jobs), None)
        return ComputeResult(outputs, _waited(jobs), sum(job.computed for job in jobs))

    def waiting(self, priority: Priority) -> int:
        """The number of waiting texts of this priority."""
        return self._queue.waiting(priority)

    @property
    def tokens(self) -> int:
        """The number of waiting tokens."""
        return self._queue.tokens

    @property
    def oldest_seconds(self) -> float:
        """Seconds that the oldest waiting text has waited; 0 if the queue is empty."""
        queued = self._queue.oldest()
        return 0.0 if queued is None else monotonic() - queued

    def _admit(self, batch: Sequence[list[int]], tenant: str) -> None:
        if self._closed:
            raise _closing()
        if self._queue.has_room(tenant, len(batch), self._policy.queue_texts):
            return
        wait = self._queue.tokens * self._seconds_per_token / self._policy.lanes
        raise errors.QueueFull(
            "the embedding queue is full",
            retry_after=min(max(wait, 0.05), 30.0),
            metadata={"subject": "embedding_queue"},
        )

    def _in_order(self, jobs: list[Job[Output]]) -> list[Job[Output]]:
        if self._policy.batch_texts == 1:
            return jobs
        # Texts of similar length need the least padding.
        return sorted(jobs, key=lambda job: len(job.ids))

    async def _lane(self) -> None:
        while True:
            await self._run(await self._next())

    async def _next(self) -> list[Job[Output]]:
        while True:
            batch = self._fill()
            if batch:
                return batch
            self._wakeup.clear()
            await self._wakeup.wait()

    def _fill(self) -> list[Job[Output]]:
        """The next batch: one text, then more within the policy's limits; empty if nothing waits."""
        batch: list[Job[Output]] = []
        longest = 0
        while self._queue.jobs and len(batch) < self._policy.batch_texts:
            longest = max(longest, len(self._queue.peek().ids))
            if batch and longest * (len(batch) + 1) > self._policy.batch_tokens:
                break
            job = self._queue.pop()
            if not job.future.done():
                batch.append(job)
        return batch

    async def _run(self, batch: list[Job[Output]]) -> None:
        began = monotonic()
        for job in batch:
            job.begin(began)
        self.busy += 1
        try:
            await self._compute_batch(batch, began)
        except asyncio.CancelledError:
            _fail(batch, _closing())
            raise
        except Exception as error:
            self._observe(batch, began, monotonic(), error)
            _fail(batch, error)
        finally:
            self.busy -= 1

    async def _compute_batch(self, batch: list[Job[Output]], began: float) -> None:
        loop = asyncio.get_running_loop()
        ids = [job.ids for job in batch]
        outputs = await loop.run_in_executor(self._pool, self._compute, ids)
        done = list(zip(batch, outputs, strict=True))
        ended = monotonic()
        self._learn((ended - began) / max(sum(map(len, ids)), 1))
        self._observe(batch, began, ended)
        for job, output in done:
            job.computed = (ended - began) / len(batch)
            if not job.future.done():
                job.future.set_result(output)

    def _observe(
        self,
        batch: list[Job[Output]],
        began: float,
        ended: float,
        error: Exception | None = None,
    ) -> None:
        texts = [(job.info, len(job.ids)) for job in batch]
        self._observer.on_batch(Batch(texts, began, ended, error))

    def _learn(self, seconds_per_token: float) -> None:
        self._seconds_per_token += 0.1 * (seconds_per_token - self._seconds_per_token)


def _waited(jobs: Iterable[Job[Output]]) -> float:
    """Seconds of the longest wait; a text that has not begun counts until now."""
    now = monotonic()
    return max(now - job.info.queued if job.waited is None else job.waited for job in jobs)


def _closing() -> errors.Draining:
    return errors.Draining("the model is being unloaded", retry_after=1.0)


def _fail(jobs: Iterable[Job[Output]], error: Exception) -> None:
    for job in jobs:
        if not job.future.done():
            job.future.set_exception(error)
