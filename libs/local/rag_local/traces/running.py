"""The trace store as it runs: OTLP by gRPC, and HTTP on a loop in a thread of its own."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

from rag_local.processes import StartFailed
from rag_local.traces.bounds import Bounds, Dropped
from rag_local.traces.kept import Traces
from rag_local.traces.pages import application
from rag_local.traces.receiving import receiving

_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class TraceStore:
    """Where to send spans: `endpoint` for OTLP by gRPC, `url` for OTLP by HTTP; and to ask: `url`."""

    endpoint: str
    url: str
    _kept: Traces = field(repr=False)

    @property
    def dropped(self) -> Dropped:
        """What the bounds have cost until now."""
        return self._kept.dropped


@contextmanager
def trace_store(
    *, grpc_port: int = 4317, http_port: int = 4318, bounds: Bounds | None = None
) -> Iterator[TraceStore]:
    """A store on loopback that runs inside the block; port 0 takes a free one.

    Raises StartFailed where a port is taken.
    """
    bounds = bounds or Bounds()
    kept = Traces(bounds)
    with (
        receiving(kept, bounds, grpc_port) as grpc_opened,
        _pages(kept, bounds, http_port) as opened,
    ):
        yield TraceStore(f"http://127.0.0.1:{grpc_opened}", f"http://127.0.0.1:{opened}", kept)


@contextmanager
def _pages(kept: Traces, bounds: Bounds, port: int) -> Iterator[int]:
    started: Future[_Serving] = Future()
    serving = _serve(kept, bounds, port, started)
    # A daemon: a request that hangs shall not keep the process.
    thread = threading.Thread(
        target=_run, args=(serving, started, port), name="traces", daemon=True
    )
    thread.start()
    running = started.result(_SECONDS)
    try:
        yield running.port
    finally:
        running.loop.call_soon_threadsafe(running.stop.set)
        thread.join(_SECONDS)


@dataclass(frozen=True, slots=True)
class _Serving:
    port: int
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event


def _run(serving: Coroutine[None, None, None], started: "Future[_Serving]", port: int) -> None:
    try:
        asyncio.run(serving)
    except OSError as error:
        taken = StartFailed(f"port {port}, which the trace store needs, is taken")
        taken.__cause__ = error
        started.set_exception(taken)
    except Exception as error:
        if started.done():
            raise
        started.set_exception(error)


async def _serve(kept: Traces, bounds: Bounds, port: int, started: "Future[_Serving]") -> None:
    made = application(kept, bounds)
    runner = web.AppRunner(made, access_log=None, keepalive_timeout=15.0, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, backlog=128).start()
        stop = asyncio.Event()
        opened = runner.addresses[0][1]
        started.set_result(_Serving(opened, asyncio.get_running_loop(), stop))
        await stop.wait()
    finally:
        await runner.cleanup()
