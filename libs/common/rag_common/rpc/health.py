"""Readiness: poll what the service needs, publish it as gRPC health, log only what changes."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import grpc
import structlog
from grpc_health.v1 import health, health_pb2

from rag_common.pages import Page, Pages
from rag_common.rpc.outcomes import Outcome, outcome

log = structlog.get_logger()

Check = Callable[[], Awaitable[None]]

_PROBE_THREADS, _MOST_PROBES = 4, 64

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(frozen=True, slots=True)
class Needs:
    """What a service cannot do without, and what it only does less well without."""

    checks: Mapping[str, Check]
    wants: Mapping[str, Check]


class Probed:
    """The server of the health port, which anybody in the network of the pods may call.

    It is gRPC's synchronous one: a path that is not UTF-8 ends the asynchronous one for good.
    """

    def __init__(self) -> None:
        pool = ThreadPoolExecutor(_PROBE_THREADS, "health")
        self.servicer = health.HealthServicer(
            experimental_non_blocking=True, experimental_thread_pool=pool
        )
        self.server = grpc.server(
            pool, options=[("grpc.so_reuseport", 0)], maximum_concurrent_rpcs=_MOST_PROBES
        )


class Statuses:
    """What both ports say of the service's health."""

    def __init__(self, served: health.aio.HealthServicer, probed: health.HealthServicer) -> None:
        self._served = served
        self._probed = probed

    async def set(self, name: str, status: int) -> None:
        """Say so of the named service."""
        self._probed.set(name, status)
        await self._served.set(name, status)

    async def enter_graceful_shutdown(self) -> None:
        """Say NOT_SERVING for good."""
        self._probed.enter_graceful_shutdown()
        await self._served.enter_graceful_shutdown()


class Says(Protocol):
    """Where statuses are published."""

    async def set(self, name: str, status: int) -> None: ...

    async def enter_graceful_shutdown(self) -> None: ...


class Readiness:
    """Says SERVING while every check returns, NOT_SERVING while one raises or takes over two seconds.

    What the service merely wants is polled and told, and changes nothing about SERVING. `kinds` says
    of each check whether it is a `need` or a `want`, `outcomes` what it said last. `started` is
    whether the service has been SERVING once.
    """

    def __init__(
        self,
        servicer: Says,
        names: Sequence[str],
        needs: Needs,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._servicer = servicer
        self._names = ["", *names]
        self._needs = needs
        self._failing: dict[str, str] | None = None
        self._degraded: dict[str, str] = {}
        self._withdrawn = False
        self.clock = clock
        self.kinds = {**dict.fromkeys(needs.checks, "need"), **dict.fromkeys(needs.wants, "want")}
        self.outcomes: dict[str, Outcome] = {}
        self.started = False

    @property
    def serving(self) -> bool:
        """Whether callers should come."""
        return self._failing == {} and not self._withdrawn

    @property
    def state(self) -> str:
        """`serving`, `degraded` where only something wanted is away, or `not_serving`."""
        if not self.serving:
            return "not_serving"
        return "degraded" if self._degraded else "serving"

    async def poll(self, interval: float) -> None:
        """Check until cancelled: every `interval` seconds, and ten times as often while not ready."""
        while True:
            await self.check()
            await asyncio.sleep(interval / 10 if self._failing else interval)

    async def check(self) -> None:
        """Run all checks at once and publish what they say."""
        every = {**self._needs.checks, **self._needs.wants}
        found = await asyncio.gather(*map(outcome, every.values()))
        now = self.clock()
        self.outcomes = {
            name: said.after(self.outcomes.get(name), now)
            for name, said in zip(every, found, strict=True)
        }
        failing, degraded = self._errors(self._needs.checks), self._errors(self._needs.wants)
        if (failing, degraded) == (self._failing, self._degraded):
            return
        log.info("health", serving=not failing, failing=failing, degraded=degraded)
        changed = failing != self._failing
        self._failing, self._degraded = failing, degraded
        self.started = self.started or not failing
        if changed:
            await self.publish(_NOT_SERVING if failing else _SERVING)

    async def publish(self, status: int) -> None:
        """Set the status of every service and of the whole."""
        for name in self._names:
            await self._servicer.set(name, status)

    async def withdraw(self) -> None:
        """Say NOT_SERVING for good."""
        self._withdrawn = True
        await self._servicer.enter_graceful_shutdown()

    def _errors(self, checks: Mapping[str, Check]) -> dict[str, str]:
        return {name: self.outcomes[name].error for name in checks if self.outcomes[name].error}


def health_pages(readiness: Readiness) -> Pages:
    """What probes and people ask, each by a GET.

    `/health/live`: 200 while the process runs. `/health/started`: 503 until the service has been
    SERVING once, then 200 for good. `/health/ready`: each check, and 503 where a need fails.
    """

    async def live() -> Page:
        return Page(b'{"status": "live"}\n')

    async def started() -> Page:
        if readiness.started:
            return Page(b'{"status": "started"}\n')
        return Page(b'{"status": "starting"}\n', status=503)

    async def ready() -> Page:
        now = readiness.clock()
        checks = {
            name: {"kind": readiness.kinds[name], **said.told(now)}
            for name, said in readiness.outcomes.items()
        }
        body = json.dumps({"status": readiness.state, "checks": checks}, indent=1)
        return Page(f"{body}\n".encode(), status=200 if readiness.serving else 503)

    return {"/health/live": live, "/health/started": started, "/health/ready": ready}
