"""Drains Envoy over its administration socket, so that ending it fails no call."""

import asyncio
import time

import structlog

from rag_edge.companion.admin import ADMIN_ERRORS, EnvoyAdmin

log = structlog.get_logger()

_POLL_SECONDS = 0.1
# A single look may fall between two calls of a client that has not left yet.
_QUIET_SECONDS = 1.0


async def drain(admin: EnvoyAdmin, delay: float, grace: float) -> None:
    """Have Envoy report that it is not ready, and end it when its calls have ended.

    Load balancers get `delay` seconds to notice, and calls `grace` seconds from then on. Envoy asks
    clients to leave with each reply. Where it cannot be reached it has ended: that is logged.
    """
    began = time.monotonic()
    try:
        await admin.post("/healthcheck/fail")
        await asyncio.sleep(delay)
        await admin.post("/drain_listeners?graceful&skip_exit")
        left = await _wait_until_idle(admin, grace)
        await admin.post("/quitquitquit")
    except ADMIN_ERRORS as error:
        log.warning("edge_drain_failed", error=type(error).__name__)
    else:
        log.info("edge_drained", calls_left=left, seconds=round(time.monotonic() - began, 1))


async def undo_drain(admin: EnvoyAdmin) -> None:
    """Have Envoy report its health again, which a companion that was killed has left failing."""
    try:
        await admin.post("/healthcheck/ok")
    except ADMIN_ERRORS:
        log.info("edge_not_started", message="Envoy does not answer yet")


async def _wait_until_idle(admin: EnvoyAdmin, grace: float) -> int:
    """Wait until no call ran for a second, for at most `grace` seconds; return how many run now."""
    end = time.monotonic() + grace
    quiet_since, calls = time.monotonic(), 0
    while (now := time.monotonic()) < end and now - quiet_since < _QUIET_SECONDS:
        calls = await admin.active_calls()
        quiet_since = now if calls else quiet_since
        await asyncio.sleep(_POLL_SECONDS)
    return calls
