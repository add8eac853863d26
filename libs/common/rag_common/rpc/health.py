"""Readiness: poll what the service needs, publish it as gRPC health, log only what changes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog
from grpc_health.v1 import health, health_pb2

from rag_common import errors

log = structlog.get_logger()

Check = Callable[[], Awaitable[None]]

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Readiness:
    """Says SERVING while every check returns, NOT_SERVING while one raises or takes over two seconds."""

    def __init__(
        self, servicer: health.aio.HealthServicer, names: Sequence[str], checks: Mapping[str, Check]
    ) -> None:
        self._servicer = servicer
        self._names = ["", *names]
        self._checks = checks
        self._failing: dict[str, str] | None = None

    async def poll(self, interval: float) -> None:
        """Check until cancelled: every `interval` seconds, and ten times as often while not ready."""
        while True:
            await self.check()
            await asyncio.sleep(interval / 10 if self._failing else interval)

    async def check(self) -> None:
        """Run all checks at once and publish what they say."""
        outcomes = await asyncio.gather(*map(_outcome, self._checks.values()))
        failing = {name: why for name, why in zip(self._checks, outcomes, strict=True) if why}
        if failing != self._failing:
            log.info("health", serving=not failing, failing=failing)
            self._failing = failing
            await self.publish(_NOT_SERVING if failing else _SERVING)

    async def publish(self, status: int) -> None:
        """Set the status of every service and of the whole."""
        for name in self._names:
            await self._servicer.set(name, status)

    async def withdraw(self) -> None:
        """Say NOT_SERVING for good."""
        await self._servicer.enter_graceful_shutdown()


async def _outcome(check: Check) -> str:
    try:
        async with asyncio.timeout(2):
            await check()
    except errors.AppError as error:
        return error.reason
    except Exception as error:
        return type(error).__name__
    return ""
