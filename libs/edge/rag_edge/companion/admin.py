"""Envoy's administration interface, which only this pod can reach."""

import json
from pathlib import Path

import aiohttp

# What a request to Envoy's administration can fail with.
ADMIN_ERRORS = (aiohttp.ClientError, OSError, TimeoutError, ValueError)

_CALLS = "http.edge.downstream_rq_active"
_REQUEST_SECONDS = aiohttp.ClientTimeout(total=5)


class EnvoyAdmin:
    """Envoy's administration interface at a Unix socket. Methods raise ADMIN_ERRORS."""

    def __init__(self, socket: Path) -> None:
        self._socket = str(socket)

    async def post(self, path: str) -> None:
        """Do what the path says, such as `/healthcheck/fail`."""
        await self._request("POST", path)

    async def active_calls(self) -> int:
        """How many calls of clients are running."""
        return (await self.statistics(_CALLS)).get(_CALLS, 0)

    async def statistics(self, *names: str) -> dict[str, int]:
        """Counters and gauges by name; one that does not exist yet is left out."""
        pattern = "|".join(names)
        page = await self._request("GET", f"/stats?format=json&filter=^({pattern})$")
        return {
            one["name"]: int(one["value"]) for one in json.loads(page)["stats"] if "name" in one
        }

    async def _request(self, method: str, path: str) -> str:
        connector = aiohttp.UnixConnector(self._socket)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=_REQUEST_SECONDS) as session,
            session.request(method, f"http://envoy{path}", raise_for_status=True) as reply,
        ):
            return await reply.text()
