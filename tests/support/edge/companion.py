"""The companion as a process beside an edge."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from rag_local.program import free_port
from tests.support.waiting import until


class Companion:
    """A running companion: its process, and its HTTP port."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self._port = port

    async def page(self, path: str) -> httpx.Response | None:
        """One of its pages; None while it does not listen."""
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self._port}") as client:
                return await client.get(path)
        except httpx.ConnectError:
            return None

    async def terminate(self) -> int:
        """Ask it to end, as a kubelet does, and return its exit code."""
        self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), 60)


@asynccontextmanager
async def companion(**settings: Any) -> AsyncIterator[Companion]:
    """Run it until the end of the block, with EDGE_ settings; it listens when the block begins."""
    port = free_port()
    process = await _start(settings | {"http_port": port})
    made = Companion(process, port)
    try:
        await until(lambda: made.page("/health/live"), "the companion listens")
        yield made
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def write_once(**settings: Any) -> tuple[int, str]:
    """Run it as an init container; return its exit code and what it wrote to stderr."""
    process = await _start(settings, "--once")
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, errors.decode()


async def _start(settings: Mapping[str, Any], *arguments: str) -> asyncio.subprocess.Process:
    variables = {f"EDGE_{name.upper()}": str(value) for name, value in settings.items()}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EDGE_")}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rag_edge.companion", *arguments),
        env={**kept, **variables},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
