"""The order of computation: priorities share the device by weight, tenants within one alternate."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from rag_embedder.queue.events import RequestInfo

Output = TypeVar("Output")


@dataclass(slots=True, eq=False)
class Job(Generic[Output]):
    """A text in the queue, as token ids, and the future of its output.

    `waited` is its time in the queue and `computed` its share of a batch's time, both in seconds;
    `waited` is None until computation begins.
    """

    ids: list[int]
    future: "asyncio.Future[Output]"
    info: RequestInfo
    waited: float | None = None
    computed: float = 0.0

    def begin(self, moment: float) -> None:
        """Record that computation begins, at a moment of time.monotonic()."""
        self.waited = moment - self.info.queued
        if self.info.began is None:
            self.info.began = moment


@dataclass(slots=True, eq=False)
class Request(Generic[Output]):
    """The jobs of one request that are still in the queue."""

    jobs: "deque[Job[Output]]"
    priority: int
    tenant: str


@dataclass(slots=True, eq=False)
class PriorityClass(Generic[Output]):
    """The waiting requests of one priority by tenant, the next tenant first.

    `virtual_time` is the number of tokens served, divided by the weight.
    """

    weight: float
    tenants: "OrderedDict[str, deque[Request[Output]]]" = field(default_factory=OrderedDict)
    virtual_time: float = 0.0
    jobs: int = 0

    def pop(self) -> Job[Output]:
        """Remove and return the next tenant's next job; the tenant then goes behind the others."""
        tenant, requests = self.tenants.popitem(last=False)
        request = requests.popleft()
        job = request.jobs.popleft()
        if request.jobs:
            requests.append(request)
        if requests:
            self.tenants[tenant] = requests
        return job


class WeightedFairQueue(Generic[Output]):
    """Jobs in the order in which they are served, by start-time fair queueing over their tokens.

    Goyal, Vin and Cheng (1996), with one class for each weight. Within a class the tenants
    alternate, and within a tenant its requests, job by job: no request waits for all jobs of another.
    """

    def __init__(self, weights: Sequence[float]) -> None:
        self._classes: list[PriorityClass[Output]] = [PriorityClass(weight) for weight in weights]
        self._virtual_time = 0.0
        self._waiting: Counter[str] = Counter()
        self.jobs = 0
        self.tokens = 0

    def __iter__(self) -> Iterator[Job[Output]]:
        """All waiting jobs, in no particular order."""
        for priority_class in self._classes:
            for requests in priority_class.tenants.values():
                for request in requests:
                    yield from request.jobs

    def waiting(self, priority: int) -> int:
        """The number of waiting jobs of this priority."""
        return self._classes[priority].jobs

    def oldest(self) -> float | None:
        """When the oldest waiting job was queued (time.monotonic()); None if the queue is empty."""
        heads = (
            request.jobs[0].info.queued
            for priority_class in self._classes
            for requests in priority_class.tenants.values()
            for request in requests
        )
        return min(heads, default=None)

    def has_room(self, tenant: str, jobs: int, capacity: int) -> bool:
        """Whether a request of `jobs` jobs may join a queue of `capacity` jobs.

        Tenants have equal shares of the queue once it is half full. A request larger than its
        tenant's share is admitted if the queue is not full and no other job of the tenant waits;
        otherwise it could never run. So the queue holds less than `capacity` and one request.
        """
        if not self.jobs:
            return True
        tenants = len(self._waiting) + (tenant not in self._waiting)
        crowded = (self.jobs + jobs) * 2 > capacity
        share = capacity // tenants if crowded else capacity
        own = self._waiting[tenant]
        if jobs > share:
            return not own and self.jobs < capacity
        return self.jobs + jobs <= capacity and own + jobs <= share

    def add(self, jobs: Sequence[Job[Output]], priority: int, tenant: str) -> Request[Output]:
        """Queue a request behind the tenant's other requests."""
        priority_class = self._classes[priority]
        if not priority_class.tenants:
            # A class that was idle must not accumulate credit for that time.
            priority_class.virtual_time = max(priority_class.virtual_time, self._virtual_time)
        request = Request(deque(jobs), priority, tenant)
        priority_class.tenants.setdefault(tenant, deque()).append(request)
        self._count(priority_class, tenant, jobs, 1)
        return request

    def remove(self, request: Request[Output]) -> None:
        """Remove the jobs of a request that still wait."""
        if not request.jobs:
            return
        priority_class = self._classes[request.priority]
        tenants = priority_class.tenants
        left = deque(other for other in tenants[request.tenant] if other is not request)
        tenants[request.tenant] = left
        if not left:
            del tenants[request.tenant]
        self._count(priority_class, request.tenant, request.jobs, -1)

    def peek(self) -> Job[Output]:
        """The job that `pop` would return; the queue must not be empty."""
        return next(iter(self._next().tenants.values()))[0].jobs[0]

    def pop(self) -> Job[Output]:
        """Remove and return the next job, and charge its tokens to its class."""
        priority_class = self._next()
        tenant = next(iter(priority_class.tenants))
        job = priority_class.pop()
        self._count(priority_class, tenant, [job], -1)
        self._virtual_time = priority_class.virtual_time
        priority_class.virtual_time += len(job.ids) / priority_class.weight
        return job

    def _next(self) -> PriorityClass[Output]:
        waiting = (priority_class for priority_class in self._classes if priority_class.tenants)
        return min(waiting, key=lambda priority_class: priority_class.virtual_time)

    def _count(
        self,
        priority_class: PriorityClass[Output],
        tenant: str,
        jobs: "Collection[Job[Output]]",
        sign: int,
    ) -> None:
        priority_class.jobs += sign * len(jobs)
        self.jobs += sign * len(jobs)
        self.tokens += sign * sum(len(job.ids) for job in jobs)
        self._waiting[tenant] += sign * len(jobs)
        if not self._waiting[tenant]:
            del self._waiting[tenant]
