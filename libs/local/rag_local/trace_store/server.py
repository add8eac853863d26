"""Runs the trace store: OTLP over gRPC, and HTTP on an event loop in its own thread."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

from rag_local.program import StartFailed
from rag_local.trace_store.http import application
from rag_local.trace_store.memory import Bounds, Dropped, TraceMemory
from rag_local.trace_store.receiver import otlp_receiver

_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class TraceStore:
    """A running store: `endpoint` receives OTLP over gRPC; `url` receives OTLP over HTTP and queries."""

    endpoint: str
    url: str
    _traces: TraceMemory = field(repr=False)

    @property
    def dropped(self) -> Dropped:
        """The counts of dropped data."""
        return self._traces.dropped


@contextmanager
def trace_store(
    *, grpc_port: int = 4317, http_port: int = 4318, bounds: Bounds | None = None
) -> Iterator[TraceStore]:
    """Run a store on loopback inside the block; port 0 is any free one.

    Raises StartFailed if a port is in use.
    """
    bounds = bounds or Bounds()
    traces = TraceMemory(bounds)
    with (
        otlp_receiver(traces, bounds, grpc_port) as grpc_opened,
        _pages(traces, bounds, http_port) as opened,
    ):
        yield TraceStore(f"http://127.0.0.1:{grpc_opened}", f"http://127.0.0.1:{opened}", traces)


@contextmanager
def _pages(traces: TraceMemory, bounds: Bounds, port: int) -> Iterator[int]:
    started: Future[_Serving] = Future()
    serving = _serve(traces, bounds, port, started)
    # A daemon, so that a hanging request does not keep the process alive.
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
        failure = StartFailed(f"port {port}, which the trace store needs, is in use")
        failure.__cause__ = error
        started.set_exception(failure)
    except Exception as error:
        if started.done():
            raise
        started.set_exception(error)


async def _serve(
    traces: TraceMemory, bounds: Bounds, port: int, started: "Future[_Serving]"
) -> None:
    routes = application(traces, bounds)
    runner = web.AppRunner(routes, access_log=None, keepalive_timeout=15.0, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, backlog=128).start()
        stop = asyncio.Event()
        opened = runner.addresses[0][1]
        started.set_result(_Serving(opened, asyncio.get_running_loop(), stop))
        await stop.wait()
    finally:
        await runner.cleanup()
