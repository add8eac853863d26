"""A service as a process of its own, whose call named "hold" ends when a line comes on standard input."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rag_common.grpc.bootstrap import Ports, Service, run, serving
from rag_common.observability import logging
from rag_common.observability.setup import Telemetry
from tests.support.rpc import NAME, Echo, Settings


@asynccontextmanager
async def app(settings: Settings) -> AsyncIterator[Ports]:
    """Serve the echo."""
    logging.configure("slow", settings.log_level, "json")
    line, held = asyncio.Event(), asyncio.Event()
    os.set_blocking(sys.stdin.fileno(), False)
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), line.set)

    async def act(text: str) -> str:
        if text == "hold":
            held.set()
            await line.wait()
        if text == "held?":
            await held.wait()
        return text

    echo = Echo(act)
    async with serving([Service(NAME, echo.add, echo)], settings, Telemetry()) as ports:
        yield ports


if __name__ == "__main__":
    run(lambda: app(Settings.load()))
