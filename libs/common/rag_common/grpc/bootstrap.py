"""A service's lifecycle: listen, serve, report health, and on SIGTERM drain before stopping."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from rag_common.aio import background
from rag_common.grpc.health_service import ApiHealth, HealthStatuses, ProbeServer
from rag_common.grpc.interceptor import CallInterceptor, Limits
from rag_common.grpc.ports import ServerSecurity, listen, options, require_privacy
from rag_common.grpc.readiness import Check, HealthChecks, Readiness, health_pages
from rag_common.http.pages import Pages, serve_http
from rag_common.observability import logging
from rag_common.observability.log_level import LogLevelControl
from rag_common.observability.metrics import Metrics
from rag_common.observability.runtime_metrics import measure_process
from rag_common.observability.setup import Telemetry
from rag_common.settings import ServiceSettings, SettingsInvalid
from rag_contract import errors

log = structlog.get_logger()

_PROBE_STOP_SECONDS = 5.0
_STOP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Service:
    """A servicer and the generated function that adds it, with the service's full protobuf name.

    `reflected` is whether gRPC reflection and health list it; False for a third party's service.
    """

    name: str
    add: Callable[[Any, Any], None]
    servicer: object
    reflected: bool = True


@dataclass(frozen=True, slots=True)
class Ports:
    """The port numbers on which a service listens."""

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
    optional_checks: Mapping[str, Check] | None = None,
    security: ServerSecurity | None = None,
    pages: Pages | None = None,
) -> AsyncIterator[Ports]:
    """Serve inside the block. On leaving it: NOT_SERVING, drain_delay, then up to `grace` for the rest.

    The service is not ready while one of `checks` fails; if one of `optional_checks` fails, it is
    degraded. Raises OSError if a port is in use, SettingsInvalid if other machines could call it in
    plaintext.
    """
    security = security or ServerSecurity()
    require_privacy(settings, security)
    health_servicer = ApiHealth()
    probes = ProbeServer()
    interceptor = CallInterceptor(_limits(settings), telemetry, security, settings.tls_trust_domain)
    server = grpc.aio.server(interceptors=[interceptor], options=options(settings, security))
    for service in services:
        service.add(service.servicer, server)
    names = [service.name for service in services if service.reflected]
    _add_infrastructure(server, health_servicer, names, reflected=settings.reflection)
    _add_infrastructure(probes.server, probes.servicer, [], reflected=settings.reflection)
    statuses = HealthStatuses(health_servicer, probes.servicer)
    readiness = Readiness(statuses, names, HealthChecks(checks or {}, optional_checks or {}))
    every = {**health_pages(readiness), **telemetry.metrics.pages(), **(pages or {})}
    _register_metrics(telemetry.metrics, readiness)
    log_level = LogLevelControl(settings.log_level)
    http = serve_http(settings.host, settings.http_port, every, log_level.put_handlers())
    async with measure_process(telemetry.metrics), http as http_port, log_level:
        ports = Ports(
            listen(server, settings.host, settings.port, security.certificates),
            listen(probes.server, settings.host, settings.health_port),
            http_port,
        )
        await readiness.publish(health_pb2.HealthCheckResponse.NOT_SERVING)
        probes.server.start()
        await server.start()
        _log_listening(settings, ports, security)
        watching = asyncio.create_task(_terminate_with(server))
        try:
            async with background(readiness.poll(settings.health_interval)):
                yield ports
        finally:
            await readiness.withdraw()
            await asyncio.sleep(settings.drain_delay)
            await interceptor.drain(settings.grace)
            # Only streams that their callers keep open, such as reflection, are left.
            statuses.close()
            await server.stop(min(settings.grace, _STOP_SECONDS))
            await asyncio.to_thread(probes.server.stop(None).wait, _PROBE_STOP_SECONDS)
            # Not cancelled earlier: that would cancel the future that server.stop waits for.
            await asyncio.wait({watching}, timeout=_PROBE_STOP_SECONDS)


def _register_metrics(metrics: Metrics, readiness: Readiness) -> None:
    """Publish the results of the checks as metrics."""
    metrics.ready.set_function(lambda: float(readiness.serving))
    for name, kind in readiness.kinds.items():
        up, seconds = (
            partial(_check_passes, readiness, name),
            partial(_check_seconds, readiness, name),
        )
        metrics.checks.labels(name, kind).set_function(up)
        metrics.check_seconds.labels(name).set_function(seconds)


def _check_passes(readiness: Readiness, name: str) -> float:
    result = readiness.results.get(name)
    return float(result is not None and not result.error)


def _check_seconds(readiness: Readiness, name: str) -> float:
    result = readiness.results.get(name)
    return result.milliseconds / 1000 if result else 0.0


async def _terminate_with(server: grpc.aio.Server) -> None:
    """End the process if the server ends by itself, so that the orchestrator restarts it.

    gRPC's accept loop ends for good when a call's path is not UTF-8. Only a peer with a certificate,
    or a process on this machine, can send such a path.
    """
    try:
        await server.wait_for_termination()
    except Exception as error:
        log.critical("server_ended", error=type(error).__name__)
        os.kill(os.getpid(), signal.SIGTERM)


def run(app: Callable[[], AbstractAsyncContextManager[object]]) -> None:
    """Serve until SIGTERM or SIGINT.

    If the settings or the environment are invalid, write one sentence to stderr and exit with 2.
    """
    run_to_end(lambda: _until_signal(app))


def run_to_end(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run the work to its end. What fails is reported as by `run`."""
    import uvloop

    # Files that the service writes are private, whatever the permissions of their folder.
    os.umask(0o077)
    try:
        uvloop.run(work())
    except (SettingsInvalid, OSError, errors.AppError) as error:
        # The sentence comes last, where people look for it.
        logging.close()
        sys.stderr.write(f"{_sentence(error)}\n")
        sys.exit(2)


async def _until_signal(app: Callable[[], AbstractAsyncContextManager[object]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with app():
        # Objects created at start-up live for good: the garbage collector need not traverse them.
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


def _log_listening(settings: ServiceSettings, ports: Ports, security: ServerSecurity) -> None:
    log.info(
        "listening",
        host=settings.host,
        port=ports.grpc,
        health_port=ports.health,
        http_port=ports.http,
        tls=settings.tls,
    )
    if not security.certificates:
        log.warning(
            "plaintext", message="calls are not encrypted and callers are not authenticated"
        )


def _limits(settings: ServiceSettings) -> Limits:
    return Limits(
        default_deadline=settings.default_deadline,
        max_deadline=settings.max_deadline,
        min_budget=settings.min_budget,
        short_deadline=settings.short_deadline,
        max_in_flight=settings.max_in_flight,
    )


def _sentence(error: Exception) -> str:
    text = getattr(error, "message", "") or str(error)
    return " ".join(text.split())
