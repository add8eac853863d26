"""Queries of a real Prometheus, and answers that are none."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from rag_delivery.prometheus import Prometheus, PrometheusUnavailable
from rag_delivery.queries import QUERIES
from rag_local.backends.prometheus import prometheus
from tests.support.observability.fixtures import INSTALL, threaded
from tests.support.parts import tool


async def test_every_query_is_understood_and_empty_without_lanes(tmp_path: Path) -> None:
    tool("prometheus", INSTALL)
    async with (
        threaded(prometheus(tmp_path, targets={})) as running,
        aiohttp.ClientSession() as session,
    ):
        readings = await Prometheus(session, f"{running.url}/").read(QUERIES, 0.2)
        assert readings == {name: {} for name in QUERIES}
        with pytest.raises(PrometheusUnavailable, match="JSON"):
            await Prometheus(session, f"{running.url}/nowhere").read(["up"], 60)


async def test_a_prometheus_that_hangs_is_unavailable() -> None:
    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.5)) as session:
        with pytest.raises(PrometheusUnavailable, match="TimeoutError"):
            await Prometheus(session, url).read(["up"], 60)
    server.close()
