"""Whether Envoy can serve calls since its start: it has keys that verify tokens, and a healthy gateway.

Envoy itself says that it is ready as soon as it listens. A rolling update that ended the old edges then
would refuse calls for seconds. Once started, an edge stays started: without gateways its replies say why.
"""

import asyncio
import time

import structlog

from rag_edge.companion.admin import ADMIN_ERRORS, EnvoyAdmin

log = structlog.get_logger()

_KEYS = "http.edge.jwt_authn.jwks_fetch_success"
_GATEWAYS = "cluster.gateway.membership_healthy"
_POLL_SECONDS = 0.3
# Each of Envoy's filters fetches the keys for itself, and a failed fetch is repeated every second.
_STEADY_SECONDS = 1.5


class Start:
    """Asks Envoy until it can serve; `done` is true from then on."""

    def __init__(self, admin: EnvoyAdmin) -> None:
        self._admin = admin
        self.done = False

    async def wait(self) -> None:
        """Return when Envoy has been able to serve for a moment."""
        began, steady = time.monotonic(), 0.0
        while steady < _STEADY_SECONDS:
            await asyncio.sleep(_POLL_SECONDS)
            steady = steady + _POLL_SECONDS if await self._able() else 0.0
        self.done = True
        log.info("edge_started", seconds=round(time.monotonic() - began, 1))

    async def _able(self) -> bool:
        try:
            found = await self._admin.statistics(_KEYS, _GATEWAYS)
        except ADMIN_ERRORS:
            return False
        return bool(found.get(_KEYS) and found.get(_GATEWAYS))
