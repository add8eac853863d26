"""Readiness: polls health checks, publishes the result as gRPC health, logs changes only."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog
from grpc_health.v1 import health_pb2

from rag_common.aio import repeat
from rag_common.http.pages import Page, Pages
from rag_contract import errors

log = structlog.get_logger()

Check = Callable[[], Awaitable[None]]

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

_CHECK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check: the reason or class of its error, empty if it passed, and its duration.

    `since` is when the check began to return this same result. `last_error` and `failed_at` describe
    the latest failure, also after recovery; empty and 0 if there was none. Times are the clock's.
    """

    error: str
    milliseconds: float
    since: float = 0.0
    last_error: str = ""
    failed_at: float = 0.0

    def after(self, previous: "CheckResult | None", now: float) -> "CheckResult":
        """This result with the history of the previous one; None if it is the first."""
        same = previous is not None and previous.error == self.error
        since = previous.since if previous and same else now
        if self.error:
            return replace(self, since=since, last_error=self.error, failed_at=now)
        if previous is None:
            return replace(self, since=since)
        return replace(
            self, since=since, last_error=previous.last_error, failed_at=previous.failed_at
        )

    def describe(self, now: float) -> dict[str, bool | float | str]:
        """The result as a health page's JSON, with times as seconds before `now`."""
        document: dict[str, bool | float | str] = {
            "ok": not self.error,
            "milliseconds": self.milliseconds,
            "since_seconds": round(now - self.since, 1),
        }
        if self.error:
            document["error"] = self.error
        if self.last_error:
            document["last_error"] = self.last_error
            document["last_error_seconds_ago"] = round(now - self.failed_at, 1)
        return document


async def run_check(check: Callable[[], Awaitable[None]]) -> CheckResult:
    """Run the check; one that takes over two seconds has failed with a TimeoutError."""
    began = time.monotonic()
    error = ""
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await check()
    except errors.AppError as failure:
        # The underlying error, if there is one, helps an operator more than the reason.
        error = failure.metadata.get("error") or failure.reason
    except Exception as failure:
        error = type(failure).__name__
    return CheckResult(error, round((time.monotonic() - began) * 1000, 2))


@dataclass(frozen=True, slots=True)
class HealthChecks:
    """A service's health checks by name: it is not ready if a `required` one fails, and degraded if
    an `optional` one does."""

    required: Mapping[str, Check]
    optional: Mapping[str, Check]


class StatusPublisher(Protocol):
    """Publishes health statuses to clients."""

    async def set(self, name: str, status: int) -> None: ...

    async def enter_graceful_shutdown(self) -> None: ...


class Readiness:
    """SERVING while every required check passes, NOT_SERVING while one raises or takes over two seconds.

    Optional checks are polled and reported without effect on SERVING. `kinds` maps each check to
    `need` (required) or `want` (optional), `results` to its latest result. `started` is whether the
    service has ever been SERVING.
    """

    def __init__(
        self,
        servicer: StatusPublisher,
        names: Sequence[str],
        checks: HealthChecks,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._servicer = servicer
        self._names = ["", *names]
        self._checks = checks
        self._failing: dict[str, str] | None = None
        self._degraded: dict[str, str] = {}
        self._withdrawn = False
        self._began = 0.0
        self.clock = clock
        self.kinds = {
            **dict.fromkeys(checks.required, "need"),
            **dict.fromkeys(checks.optional, "want"),
        }
        self.results: dict[str, CheckResult] = {}
        self.started = False

    @property
    def serving(self) -> bool:
        """Whether the service is ready for calls."""
        return self._failing == {} and not self._withdrawn

    @property
    def state(self) -> str:
        """`serving`, `degraded` if only optional checks fail, or `not_serving`."""
        if not self.serving:
            return "not_serving"
        return "degraded" if self._degraded else "serving"

    async def poll(self, interval: float) -> None:
        """Check until cancelled: every `interval` seconds; ten times as often while not ready, and twenty
        times until ready for the first time, as the services behind it are starting too.

        The interval includes the checks' duration, so that a hanging one is noticed in time.
        """
        await repeat(self.check, lambda: self._pause(interval), immediately=True)

    def _pause(self, interval: float) -> float:
        soonest = interval / (10 if self.started else 20)
        due = self._began + (soonest if self._failing else interval)
        return max(due - time.monotonic(), soonest)

    async def check(self) -> None:
        """Run all checks at once and publish the result."""
        self._began = time.monotonic()
        every = {**self._checks.required, **self._checks.optional}
        results = await asyncio.gather(*map(run_check, every.values()))
        now = self.clock()
        self.results = {
            name: result.after(self.results.get(name), now)
            for name, result in zip(every, results, strict=True)
        }
        failing = self._errors(self._checks.required)
        degraded = self._errors(self._checks.optional)
        if (failing, degraded) == (self._failing, self._degraded):
            return
        log.info("health", serving=not failing, failing=failing, degraded=degraded)
        changed = failing != self._failing
        self._failing, self._degraded = failing, degraded
        self.started = self.started or not failing
        if changed:
            await self.publish(_NOT_SERVING if failing else _SERVING)

    async def publish(self, status: int) -> None:
        """Set the status of every service and the overall one."""
        for name in self._names:
            await self._servicer.set(name, status)

    async def withdraw(self) -> None:
        """Report NOT_SERVING for good."""
        self._withdrawn = True
        await self._servicer.enter_graceful_shutdown()

    def _errors(self, checks: Mapping[str, Check]) -> dict[str, str]:
        return {name: self.results[name].error for name in checks if self.results[name].error}


def health_pages(readiness: Readiness) -> Pages:
    """The HTTP health pages for probes and operators.

    `/health/live`: 200 while the process runs. `/health/started`: 503 until the service has been
    SERVING once, then 200 for good. `/health/ready`: every check's result, and 503 if a required one
    fails.
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
            name: {"kind": readiness.kinds[name], **result.describe(now)}
            for name, result in readiness.results.items()
        }
        body = json.dumps({"status": readiness.state, "checks": checks}, indent=1)
        return Page(f"{body}\n".encode(), status=200 if readiness.serving else 503)

    return {"/health/live": live, "/health/started": started, "/health/ready": ready}
