"""The life of a service: listen, serve, say it is healthy, and on SIGTERM drain before stopping."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from rag_common import errors
from rag_common.metrics import Metrics
from rag_common.pages import Pages
from rag_common.pages import served as _served
from rag_common.rpc.health import Check, Needs, Probed, Readiness, Statuses, health_pages
from rag_common.rpc.interceptors import CallInterceptor, Limits
from rag_common.rpc.listening import Guard, listen, listen_plain, options, require_privacy
from rag_common.settings import ServiceSettings, SettingsInvalid
from rag_common.telemetry import Telemetry
from rag_common.verbosity import Verbosity
from rag_common.vitals import measured

log = structlog.get_logger()

_PROBES_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Service:
    """A servicer and the generated function that adds it, with the service's full protobuf name.

    One that is not ours to describe is not `reflected`.
    """

    name: str
    add: Callable[[Any, Any], None]
    servicer: object
    reflected: bool = True


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a service listens."""

    grpc: int
    health: int
    http: int


@asynccontextmanager
async def serving(
    services: Sequence[Service],
    settings: ServiceSettings,
    telemetry: Telemetry,
    *,
    checks: Mapping[str, Check] | None = None,
    wants: Mapping[str, Check] | None = None,
    guard: Guard | None = None,
    pages: Pages | None = None,
) -> AsyncIterator[Ports]:
    """Serve inside the block. On leaving it: NOT_SERVING, drain_delay, then up to `grace` for the rest.

    `checks` are what the service cannot do without, `wants` what it only does less well without.
    Raises OSError where a port is taken, SettingsInvalid where it would serve others in plaintext.
    """
    guard = guard or Guard()
    require_privacy(settings, guard)
    health_servicer = health.aio.HealthServicer()
    probed = Probed()
    interceptor = CallInterceptor(_limits(settings), telemetry, guard, settings.tls_trust_domain)
    server = grpc.aio.server(interceptors=[interceptor], options=options(settings, guard))
    for service in services:
        service.add(service.servicer, server)
    names = [service.name for service in services if service.reflected]
    _add_infrastructure(server, health_servicer, names, reflected=settings.reflection)
    _add_infrastructure(probed.server, probed.servicer, [], reflected=settings.reflection)
    statuses = Statuses(health_servicer, probed.servicer)
    needs = Needs(checks or {}, wants or {})
    readiness = Readiness(statuses, names, needs)
    every = {**health_pages(readiness), **telemetry.metrics.pages(), **(pages or {})}
    _tell(telemetry.metrics, readiness, needs)
    verbosity = Verbosity(settings.log_level)
    http = _served(settings.host, settings.http_port, every, verbosity.orders())
    async with measured(telemetry.metrics), http as http_port, verbosity:
        ports = Ports(
            listen(server, settings, guard),
            listen_plain(probed.server, settings.host, settings.health_port),
            http_port,
        )
        await readiness.publish(health_pb2.HealthCheckResponse.NOT_SERVING)
        probed.server.start()
        await server.start()
        _say(settings, ports, guard)
        polling = asyncio.create_task(readiness.poll(settings.health_interval))
        watching = asyncio.create_task(_outlive(server))
        try:
            yield ports
        finally:
            polling.cancel()
            with suppress(asyncio.CancelledError):
                await polling
            await readiness.withdraw()
            await asyncio.sleep(settings.drain_delay)
            await interceptor.drain(settings.grace)
            await server.stop(settings.grace)
            await asyncio.to_thread(probed.server.stop(None).wait, _PROBES_SECONDS)
            # Not cancelled before: that would cancel what the server's own stop waits for.
            await asyncio.wait({watching}, timeout=_PROBES_SECONDS)


def _tell(metrics: Metrics, readiness: Readiness, needs: Needs) -> None:
    """Show in the metrics what the checks say."""
    metrics.ready.set_function(lambda: float(readiness.serving))
    for kind, checks in (("need", needs.checks), ("want", needs.wants)):
        for name in checks:
            up, seconds = partial(_passes, readiness, name), partial(_seconds, readiness, name)
            metrics.checks.labels(name, kind).set_function(up)
            metrics.check_seconds.labels(name).set_function(seconds)


def _passes(readiness: Readiness, name: str) -> float:
    found = readiness.outcomes.get(name)
    return float(found is not None and not found.error)


def _seconds(readiness: Readiness, name: str) -> float:
    found = readiness.outcomes.get(name)
    return found.milliseconds / 1000 if found else 0.0


async def _outlive(server: grpc.aio.Server) -> None:
    """End the process where the server ends by itself, so that it is started anew.

    gRPC's own loop ends for good, and lets nobody in any more, at a path that is not UTF-8: only a
    peer with a certificate, or on this machine, can send one.
    """
    try:
        await server.wait_for_termination()
    except Exception as error:
        log.critical("server_ended", error=type(error).__name__)
        os.kill(os.getpid(), signal.SIGTERM)


def run(app: Callable[[], AbstractAsyncContextManager[object]]) -> None:
    """Serve until SIGTERM or SIGINT. What is wrong with the settings or the machine is said in one sentence."""
    import uvloop

    # What a service writes is nobody else's to read, whatever the folder it was given is like.
    os.umask(0o077)
    try:
        uvloop.run(_until_signal(app))
    except (SettingsInvalid, OSError, errors.AppError) as error:
        sys.stderr.write(f"{_sentence(error)}\n")
        sys.exit(2)


async def _until_signal(app: Callable[[], AbstractAsyncContextManager[object]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with app():
        # What start-up made lives for good: the collector need not walk it at every turn.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        await stop.wait()
        log.info("stopping")
    log.info("stopped")


def _add_infrastructure(
    server: "grpc.aio.Server | grpc.Server",
    health_servicer: Any,
    names: Sequence[str],
    *,
    reflected: bool,
) -> None:
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    if reflected:
        reflection.enable_server_reflection(
            [*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server
        )


def _say(settings: ServiceSettings, ports: Ports, guard: Guard) -> None:
    log.info(
        "listening",
        host=settings.host,
        port=ports.grpc,
        health_port=ports.health,
        http_port=ports.http,
        tls=settings.tls,
    )
    if not guard.certificates:
        log.warning("plaintext", message="calls are neither encrypted nor is their caller known")


def _limits(settings: ServiceSettings) -> Limits:
    return Limits(
        default_deadline=settings.default_deadline,
        max_deadline=settings.max_deadline,
        min_budget=settings.min_budget,
        max_in_flight=settings.max_in_flight,
    )


def _sentence(error: Exception) -> str:
    text = getattr(error, "message", "") or str(error)
    return " ".join(text.split())
