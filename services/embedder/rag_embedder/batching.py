"""Who computes next: a bounded, fair queue of texts in front of a model, with a policy for each device."""

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum
from time import monotonic
from typing import Generic, Protocol, TypeVar

from rag_common import errors
from rag_embedder.observation import Asked, Batch, Observer, Unobserved
from rag_embedder.turns import Job, Turns

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


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Output]):
    """Outputs in the order of the texts; seconds of the longest wait, and of computing altogether."""

    outputs: list[Output]
    queue_seconds: float
    compute_seconds: float


class Scheduler(Generic[Output]):
    """Feeds a model. Priorities share its tokens three to one, tenants within one take turns.

    An async context manager: its lanes run inside the block, and leaving it ends what waits.
    """

    def __init__(
        self, compute: Compute[Output], policy: Policy, observer: Observer | None = None
    ) -> None:
        self._compute = compute
        self._policy = policy
        self._observer = observer or Unobserved()
        self.busy = 0
        self._turns: Turns[Output] = Turns(_WEIGHTS)
        self._seconds_per_token = 0.0005
        self._work = asyncio.Event()
        self._closed = False
        self._pool = ThreadPoolExecutor(policy.lanes, "model")
        self._lanes: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Scheduler[Output]":
        self._lanes = [asyncio.create_task(self._lane()) for _ in range(self._policy.lanes)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        for lane in self._lanes:
            lane.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)
        _fail(self._turns, _closing())
        await asyncio.to_thread(self._pool.shutdown)

    async def run(
        self, batch: Sequence[list[int]], priority: Priority, payer: str = ""
    ) -> Outcome[Output]:
        """Compute a request's texts, given as token ids; cancelling gives up what has not begun.

        There must be a text. `payer` is the tenant whose turn it takes. Raises ResourceExhausted at
        once, with a time to come back, where the queue has no room for all that leaves other tenants
        theirs, and Draining where the scheduler closes.
        """
        self._admit(batch, payer)
        loop = asyncio.get_running_loop()
        asked = Asked(priority, len(batch), sum(map(len, batch)))
        jobs = [Job[Output](ids, loop.create_future(), asked) for ids in batch]
        request = self._turns.add(self._in_order(jobs), priority, payer)
        self._work.set()
        self._observer.came(asked)
        try:
            outputs = await asyncio.gather(*(job.future for job in jobs))
        except BaseException as error:
            self._observer.went(asked, _waited(jobs), error)
            raise
        finally:
            self._turns.drop(request)
        self._observer.went(asked, _waited(jobs), None)
        return Outcome(outputs, _waited(jobs), sum(job.computed for job in jobs))

    def waiting(self, priority: Priority) -> int:
        """How many texts of this priority wait."""
        return self._turns.waiting(priority)

    @property
    def tokens(self) -> int:
        """How many tokens wait."""
        return self._turns.tokens

    @property
    def oldest_seconds(self) -> float:
        """How long the text that waits longest has waited; 0 where none waits."""
        queued = self._turns.oldest()
        return 0.0 if queued is None else monotonic() - queued

    def _admit(self, batch: Sequence[list[int]], payer: str) -> None:
        if self._closed:
            raise _closing()
        if self._turns.room(payer, len(batch), self._policy.queue_texts):
            return
        wait = self._turns.tokens * self._seconds_per_token / self._policy.lanes
        raise errors.ResourceExhausted(
            "the embedding queue is full",
            retry_after=min(max(wait, 0.05), 30.0),
            metadata={"subject": "embedding_queue"},
        )

    def _in_order(self, jobs: list[Job[Output]]) -> list[Job[Output]]:
        if self._policy.batch_texts == 1:
            return jobs
        # Texts of one length pad each other least.
        return sorted(jobs, key=lambda job: len(job.ids))

    async def _lane(self) -> None:
        while True:
            await self._run(await self._next())

    async def _next(self) -> list[Job[Output]]:
        while True:
            batch = self._fill()
            if batch:
                return batch
            self._work.clear()
            await self._work.wait()

    def _fill(self) -> list[Job[Output]]:
        """The next batch: at least one text, then more while the policy's bounds allow."""
        batch: list[Job[Output]] = []
        longest = 0
        while self._turns.jobs and len(batch) < self._policy.batch_texts:
            longest = max(longest, len(self._turns.first().ids))
            if batch and longest * (len(batch) + 1) > self._policy.batch_tokens:
                break
            job = self._turns.take()
            if not job.future.done():
                batch.append(job)
        return batch

    async def _run(self, batch: list[Job[Output]]) -> None:
        began = monotonic()
        for job in batch:
            job.begin(began)
        self.busy += 1
        try:
            await self._computed(batch, began)
        except asyncio.CancelledError:
            _fail(batch, _closing())
            raise
        except Exception as error:
            self._observe(batch, began, monotonic(), error)
            _fail(batch, error)
        finally:
            self.busy -= 1

    async def _computed(self, batch: list[Job[Output]], began: float) -> None:
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
        texts = [(job.asked, len(job.ids)) for job in batch]
        self._observer.ran(Batch(texts, began, ended, error))

    def _learn(self, seconds_per_token: float) -> None:
        self._seconds_per_token += 0.1 * (seconds_per_token - self._seconds_per_token)


def _waited(jobs: Iterable[Job[Output]]) -> float:
    """Seconds of the longest wait; one that has not begun waits until now."""
    now = monotonic()
    return max(now - job.asked.queued if job.waited is None else job.waited for job in jobs)


def _closing() -> errors.Draining:
    return errors.Draining("the model is being unloaded", retry_after=1.0)


def _fail(jobs: Iterable[Job[Output]], error: Exception) -> None:
    for job in jobs:
        if not job.future.done():
            job.future.set_exception(error)
