"""Whose turn it is: priorities share the device by weight, the tenants of one take turns."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from rag_embedder.observation import Asked

Output = TypeVar("Output")


@dataclass(slots=True, eq=False)
class Job(Generic[Output]):
    """A text that waits for its output; seconds waited once it has begun, and computed."""

    ids: list[int]
    future: "asyncio.Future[Output]"
    asked: Asked
    waited: float | None = None
    computed: float = 0.0

    def begin(self, moment: float) -> None:
        """Note that the device begins with it, at a moment of time.monotonic()."""
        self.waited = moment - self.asked.queued
        if self.asked.began is None:
            self.asked.began = moment


@dataclass(slots=True, eq=False)
class Request(Generic[Output]):
    """What waits of one request: it shrinks as its jobs are taken."""

    jobs: "deque[Job[Output]]"
    priority: int
    payer: str


@dataclass(slots=True, eq=False)
class _Line(Generic[Output]):
    """One priority: the requests of each tenant, whose turn is first first; `served` is tokens over weight."""

    weight: float
    tenants: "OrderedDict[str, deque[Request[Output]]]" = field(default_factory=OrderedDict)
    served: float = 0.0
    jobs: int = 0

    def take(self) -> Job[Output]:
        """A job of the tenant's whose turn it is, which then goes behind the others."""
        payer, requests = self.tenants.popitem(last=False)
        request = requests.popleft()
        job = request.jobs.popleft()
        if request.jobs:
            requests.append(request)
        if requests:
            self.tenants[payer] = requests
        return job


class Turns(Generic[Output]):
    """Jobs in the order in which they are served, by start-time fair queueing over their tokens.

    Goyal, Vin and Cheng (1996), with a line for each weight. In a line the tenants alternate, and
    within a tenant its requests, job by job: nobody waits for all that another has put in.
    """

    def __init__(self, weights: Sequence[float]) -> None:
        self._lines: list[_Line[Output]] = [_Line(weight) for weight in weights]
        self._clock = 0.0
        self._waiting: Counter[str] = Counter()
        self.jobs = 0
        self.tokens = 0

    def __iter__(self) -> Iterator[Job[Output]]:
        """All that wait, in no order."""
        for line in self._lines:
            for requests in line.tenants.values():
                for request in requests:
                    yield from request.jobs

    def waiting(self, priority: int) -> int:
        """How many jobs of this priority wait."""
        return self._lines[priority].jobs

    def oldest(self) -> float | None:
        """When the job that waits longest was queued; None where nothing waits."""
        heads = (
            request.jobs[0].asked.queued
            for line in self._lines
            for requests in line.tenants.values()
            for request in requests
        )
        return min(heads, default=None)

    def room(self, payer: str, jobs: int, most: int) -> bool:
        """Whether so many more would leave at most `most` waiting, and to other tenants their shares.

        Where nothing waits there is room for any one request, or a large one would never find any.
        """
        if not self.jobs:
            return True
        if self.jobs + jobs > most:
            return False
        tenants = len(self._waiting) + (payer not in self._waiting)
        crowded = tenants > 1 and (self.jobs + jobs) * 2 > most
        return not crowded or self._waiting[payer] + jobs <= most // tenants

    def add(self, jobs: Sequence[Job[Output]], priority: int, payer: str) -> Request[Output]:
        """Put a request at the end of its tenant's."""
        line = self._lines[priority]
        if not line.tenants:
            # A line that was idle must not live on the credit of that time.
            line.served = max(line.served, self._clock)
        request = Request(deque(jobs), priority, payer)
        line.tenants.setdefault(payer, deque()).append(request)
        self._count(line, payer, jobs, 1)
        return request

    def drop(self, request: Request[Output]) -> None:
        """Take out what still waits of a request."""
        if not request.jobs:
            return
        line = self._lines[request.priority]
        left = deque(other for other in line.tenants[request.payer] if other is not request)
        line.tenants[request.payer] = left
        if not left:
            del line.tenants[request.payer]
        self._count(line, request.payer, request.jobs, -1)

    def first(self) -> Job[Output]:
        """The job whose turn it is; there must be one."""
        return next(iter(self._next().tenants.values()))[0].jobs[0]

    def take(self) -> Job[Output]:
        """Take out the job whose turn it is, and charge its line for it."""
        line = self._next()
        payer = next(iter(line.tenants))
        job = line.take()
        self._count(line, payer, [job], -1)
        self._clock = line.served
        line.served += len(job.ids) / line.weight
        return job

    def _next(self) -> _Line[Output]:
        return min((line for line in self._lines if line.tenants), key=lambda line: line.served)

    def _count(
        self, line: _Line[Output], payer: str, jobs: "Collection[Job[Output]]", sign: int
    ) -> None:
        line.jobs += sign * len(jobs)
        self.jobs += sign * len(jobs)
        self.tokens += sign * sum(len(job.ids) for job in jobs)
        self._waiting[payer] += sign * len(jobs)
        if not self._waiting[payer]:
            del self._waiting[payer]
