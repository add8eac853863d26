"""Who computes next: a bounded, fair queue of texts in front of a model, with a policy for each device."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import IntEnum
from time import monotonic
from typing import Generic, Protocol, TypeVar

from rag_common import errors

Output = TypeVar("Output")
Computed = TypeVar("Computed", covariant=True)

# A question waits for no more than a third as much computing as passages get.
_WEIGHTS = (3.0, 1.0)


class Priority(IntEnum):
    """Questions have somebody waiting; passages have time."""

    QUERY = 0
    DOCUMENT = 1


class Compute(Protocol[Computed]):
    """Runs a batch of token id lists on the device, in a thread; one output for each."""

    def __call__(self, batch: list[list[int]], /) -> Iterable[Computed]: ...


@dataclass(frozen=True, slots=True)
class Policy:
    """How the device likes its work: `lanes` batches at once, each of at most so many texts and tokens.

    On a CPU a lane a core with one text each is fastest; a GPU wants one lane and large batches.
    """

    lanes: int
    batch_texts: int = 1
    batch_tokens: int = 0
    queue_texts: int = 2048


@dataclass(slots=True)
class _Job(Generic[Output]):
    ids: list[int]
    future: "asyncio.Future[Output]"
    queued: float = field(default_factory=monotonic)
    waited: float = 0.0
    computed: float = 0.0


@dataclass(slots=True)
class _Line(Generic[Output]):
    """One priority: requests take turns, text by text; `served` is tokens over weight."""

    weight: float
    requests: "deque[deque[_Job[Output]]]" = field(default_factory=deque)
    served: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Output]):
    """Outputs in the order of the texts; seconds of the longest wait, and of computing altogether."""

    outputs: list[Output]
    queue_seconds: float
    compute_seconds: float


class Scheduler(Generic[Output]):
    """Feeds a model. Priorities share its tokens three to one, requests within one take turns.

    An async context manager: its lanes run inside the block.
    """

    def __init__(self, compute: Compute[Output], policy: Policy) -> None:
        self._compute = compute
        self._policy = policy
        self._lines: list[_Line[Output]] = [_Line(weight) for weight in _WEIGHTS]
        self._waiting = 0
        self._seconds_per_token = 0.0005
        self._tokens_waiting = 0
        self._work = asyncio.Event()
        self._pool = ThreadPoolExecutor(policy.lanes, "model")
        self._lanes: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Scheduler[Output]":
        self._lanes = [asyncio.create_task(self._lane()) for _ in range(self._policy.lanes)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for lane in self._lanes:
            lane.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)
        self._pool.shutdown()

    async def run(self, batch: Sequence[list[int]], priority: Priority) -> Outcome[Output]:
        """Compute a request's texts, given as token ids; cancelling gives up what has not begun.

        Raises ResourceExhausted at once, with a time to come back, where the queue has no room for all.
        """
        self._admit(batch)
        loop = asyncio.get_running_loop()
        jobs = [_Job[Output](ids, loop.create_future()) for ids in batch]
        self._queue(jobs, priority)
        self._work.set()
        try:
            outputs = await asyncio.gather(*(job.future for job in jobs))
        finally:
            for job in jobs:
                job.future.cancel()
        return Outcome(outputs, max(job.waited for job in jobs), sum(job.computed for job in jobs))

    def _admit(self, batch: Sequence[list[int]]) -> None:
        if self._waiting + len(batch) <= self._policy.queue_texts:
            return
        wait = self._tokens_waiting * self._seconds_per_token / self._policy.lanes
        raise errors.ResourceExhausted(
            "the embedding queue is full",
            retry_after=min(max(wait, 0.05), 30.0),
            metadata={"subject": "embedding_queue"},
        )

    def _queue(self, jobs: list[_Job[Output]], priority: Priority) -> None:
        line = self._lines[priority]
        if not line.requests:
            # A line that was idle must not live on the credit of that time.
            line.served = max(line.served, min(other.served for other in self._lines))
        if self._policy.batch_texts > 1:
            # Texts of one length pad each other least.
            jobs = sorted(jobs, key=lambda job: len(job.ids))
        line.requests.append(deque(jobs))
        self._waiting += len(jobs)
        self._tokens_waiting += sum(len(job.ids) for job in jobs)

    async def _lane(self) -> None:
        while True:
            await self._run(await self._next())

    async def _next(self) -> list[_Job[Output]]:
        while True:
            batch = self._fill()
            if batch:
                return batch
            self._work.clear()
            await self._work.wait()

    def _fill(self) -> list[_Job[Output]]:
        """The next batch: at least one text, then more while the policy's bounds allow."""
        batch: list[_Job[Output]] = []
        longest = 0
        while self._waiting and len(batch) < self._policy.batch_texts:
            line = min((row for row in self._lines if row.requests), key=lambda row: row.served)
            job = line.requests[0][0]
            longest = max(longest, len(job.ids))
            if batch and longest * (len(batch) + 1) > self._policy.batch_tokens:
                break
            self._take(line)
            if not job.future.done():
                line.served += len(job.ids) / line.weight
                batch.append(job)
        return batch

    def _take(self, line: _Line[Output]) -> None:
        request = line.requests.popleft()
        job = request.popleft()
        if request:
            line.requests.append(request)
        self._waiting -= 1
        self._tokens_waiting -= len(job.ids)

    async def _run(self, batch: list[_Job[Output]]) -> None:
        started = monotonic()
        loop = asyncio.get_running_loop()
        try:
            outputs = await loop.run_in_executor(
                self._pool, self._compute, [job.ids for job in batch]
            )
        except Exception as error:
            _fail(batch, error)
            return
        seconds = monotonic() - started
        tokens = sum(len(job.ids) for job in batch)
        self._seconds_per_token += 0.1 * (seconds / tokens - self._seconds_per_token)
        for job, output in zip(batch, outputs, strict=True):
            job.waited = started - job.queued
            job.computed = seconds / len(batch)
            if not job.future.done():
                job.future.set_result(output)


def _fail(batch: list[_Job[Output]], error: Exception) -> None:
    for job in batch:
        if not job.future.done():
            job.future.set_exception(error)
