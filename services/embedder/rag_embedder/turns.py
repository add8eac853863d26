"""Whose turn it is: priorities share the device by weight, the requests of one take turns."""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Generic, TypeVar

Output = TypeVar("Output")


@dataclass(slots=True, eq=False)
class Job(Generic[Output]):
    """A text that waits for its output; seconds waited and computed once it has it."""

    ids: list[int]
    future: "asyncio.Future[Output]"
    queued: float = field(default_factory=monotonic)
    waited: float = 0.0
    computed: float = 0.0


@dataclass(slots=True, eq=False)
class _Line(Generic[Output]):
    """One priority; `served` is tokens over weight."""

    weight: float
    requests: "deque[deque[Job[Output]]]" = field(default_factory=deque)
    served: float = 0.0


class Turns(Generic[Output]):
    """Jobs in the order in which they are served, by start-time fair queueing over their tokens.

    Goyal, Vin and Cheng (1996), with a line for each weight; requests of a line alternate, job by job.
    """

    def __init__(self, weights: Sequence[float]) -> None:
        self._lines: list[_Line[Output]] = [_Line(weight) for weight in weights]
        self._clock = 0.0
        self.jobs = 0
        self.tokens = 0

    def __iter__(self) -> Iterator[Job[Output]]:
        """All that wait, in no order."""
        return (job for line in self._lines for request in line.requests for job in request)

    def add(self, jobs: Sequence[Job[Output]], priority: int) -> "deque[Job[Output]]":
        """Put a request at the end of its line; what it gives shrinks as the jobs are taken."""
        line = self._lines[priority]
        if not line.requests:
            # A line that was idle must not live on the credit of that time.
            line.served = max(line.served, self._clock)
        request = deque(jobs)
        line.requests.append(request)
        self._count(request, 1)
        return request

    def drop(self, request: "deque[Job[Output]]", priority: int) -> None:
        """Take out what still waits of a request."""
        if request:
            line = self._lines[priority]
            line.requests = deque(other for other in line.requests if other is not request)
            self._count(request, -1)

    def first(self) -> Job[Output]:
        """The job whose turn it is; there must be one."""
        return self._next().requests[0][0]

    def take(self) -> Job[Output]:
        """Take out the job whose turn it is, and charge its line for it."""
        line = self._next()
        request = line.requests.popleft()
        job = request.popleft()
        if request:
            line.requests.append(request)
        self._count([job], -1)
        self._clock = line.served
        line.served += len(job.ids) / line.weight
        return job

    def _next(self) -> _Line[Output]:
        return min((line for line in self._lines if line.requests), key=lambda line: line.served)

    def _count(self, jobs: "Sequence[Job[Output]]", sign: int) -> None:
        self.jobs += sign * len(jobs)
        self.tokens += sign * sum(len(job.ids) for job in jobs)
