"""Follows the weights of the lanes, which a canary's analysis publishes, and sets them in Envoy."""

import time
from collections.abc import Mapping

import aiohttp
import structlog
from pydantic import BaseModel, NonNegativeInt, ValidationError

from rag_common.aio import repeat
from rag_edge.companion.admin import EnvoyAdmin
from rag_edge.edge_config import LANES, STABLE, runtime_key

log = structlog.get_logger()

_INTERVAL_SECONDS = 1.0
# Envoy forgets its weights if it restarts.
_REFRESH_SECONDS = 10.0


class _Published(BaseModel):
    weights: dict[str, NonNegativeInt]


class LaneWeights:
    """Asks `url` every second. All calls are the stable gateways' after `timeout` seconds without an answer.

    A lane gets calls only while somebody analyses it.
    """

    def __init__(self, admin: EnvoyAdmin, url: str, timeout: float) -> None:
        self._admin = admin
        self._url = url
        self._timeout = timeout
        self._answered = time.monotonic()
        self._weights: Mapping[str, int] = {}
        self._set: Mapping[str, int] = {}
        self._set_at = 0.0

    async def follow(self) -> None:
        """Follow the weights until cancelled."""
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        async with aiohttp.ClientSession(timeout=timeout) as session:

            async def step() -> None:
                await self._read(session)
                await self._apply()

            await repeat(step, _INTERVAL_SECONDS, immediately=True, event="lane_weights_not_set")

    async def _read(self, session: aiohttp.ClientSession) -> None:
        try:
            async with session.get(self._url, raise_for_status=True) as response:
                published = _Published.model_validate_json(await response.read())
        except (aiohttp.ClientError, TimeoutError, ValidationError):
            if time.monotonic() - self._answered >= self._timeout:
                self._weights = _without_lanes(self._weights)
            return
        self._answered = time.monotonic()
        self._weights = published.weights

    async def _apply(self) -> None:
        """Set the weights if they are others, or were set long ago. Raises admin.ADMIN_ERRORS."""
        fresh = time.monotonic() - self._set_at < _REFRESH_SECONDS
        if not self._weights or (fresh and self._weights == self._set):
            return
        query = "&".join(f"{runtime_key(lane)}={weight}" for lane, weight in self._weights.items())
        await self._admin.post(f"/runtime_modify?{query}")
        if self._weights != self._set:
            log.info("lane_weights", **self._weights)
        self._set, self._set_at = self._weights, time.monotonic()


def _without_lanes(weights: Mapping[str, int]) -> Mapping[str, int]:
    """No calls for these lanes, nor for those which an earlier companion may have given some."""
    return {**dict.fromkeys((*LANES, *weights), 0), STABLE: 1}
