"""The life of a service: listen, serve, say it is healthy, and on SIGTERM drain before stopping."""

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from rag_common import errors
from rag_common.rpc.health import Check, Readiness
from rag_common.rpc.interceptors import Authenticate, CallInterceptor, Limits
from rag_common.settings import ServiceSettings, SettingsInvalid
from rag_common.telemetry import Telemetry

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Service:
    """A servicer and the generated function that adds it, with the service's full protobuf name."""

    name: str
    add: Callable[[Any, Any], None]
    servicer: object


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a service listens."""

    grpc: int
    health: int


@asynccontextmanager
async def serving(
    services: Sequence[Service],
    settings: ServiceSettings,
    telemetry: Telemetry,
    *,
    checks: Mapping[str, Check] | None = None,
    authenticate: Authenticate | None = None,
) -> AsyncIterator[Ports]:
    """Serve inside the block. On leaving it: NOT_SERVING, drain_delay, then up to `grace` for the rest.

    Raises OSError where a port is taken.
    """
    health_servicer = health.aio.HealthServicer()
    interceptor = CallInterceptor(_limits(settings), telemetry, authenticate)
    server = grpc.aio.server(interceptors=[interceptor], options=_options(settings))
    for service in services:
        service.add(service.servicer, server)
    names = [service.name for service in services]
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    if settings.reflection:
        reflection.enable_server_reflection(
            [*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server
        )
    probes = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, probes)
    if settings.reflection:
        reflection.enable_server_reflection([health.SERVICE_NAME, reflection.SERVICE_NAME], probes)
    ports = Ports(
        _listen(server, settings.host, settings.port),
        _listen(probes, settings.host, settings.health_port),
    )
    readiness = Readiness(health_servicer, names, checks or {})
    await readiness.publish(health_pb2.HealthCheckResponse.NOT_SERVING)
    await probes.start()
    await server.start()
    log.info("listening", host=settings.host, port=ports.grpc, health_port=ports.health)
    polling = asyncio.create_task(readiness.poll(settings.health_interval))
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
        await probes.stop(None)


def run(app: Callable[[], AbstractAsyncContextManager[object]]) -> None:
    """Serve until SIGTERM or SIGINT. What is wrong with the settings or the machine is said in one sentence."""
    import uvloop

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


def _listen(server: grpc.aio.Server, host: str, port: int) -> int:
    address = f"[{host}]" if ":" in host else host
    try:
        return server.add_insecure_port(f"{address}:{port}")
    except RuntimeError as error:
        raise OSError(f"port {port} of {host} is taken or not ours to open") from error


def _limits(settings: ServiceSettings) -> Limits:
    return Limits(
        default_deadline=settings.default_deadline,
        max_deadline=settings.max_deadline,
        min_budget=settings.min_budget,
        max_in_flight=settings.max_in_flight,
    )


def _options(settings: ServiceSettings) -> list[tuple[str, int]]:
    return [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.max_connection_age_ms", round(settings.max_connection_age * 1000)),
        ("grpc.max_connection_age_grace_ms", round(settings.max_deadline * 1000)),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]


def _sentence(error: Exception) -> str:
    text = getattr(error, "message", "") or str(error)
    return " ".join(text.split())
