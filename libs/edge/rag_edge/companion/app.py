"""Wires the companion: pages, certificates, and the drain at its end."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

import structlog

from rag_common.aio import background
from rag_common.http.pages import Page, Pages, serve_http
from rag_common.identity import certificate_gauge, secrets_gauges
from rag_common.observability import logging, setup
from rag_common.observability.dependency import Dependency
from rag_common.observability.metrics import Metrics
from rag_edge.companion.admin import EnvoyAdmin
from rag_edge.companion.certificates import SERVICE, CertificateWriter, folder_certificates
from rag_edge.companion.drain import drain, undo_drain
from rag_edge.companion.settings import Settings
from rag_edge.companion.start import Start
from rag_edge.companion.weights import LaneWeights

log = structlog.get_logger()


@asynccontextmanager
async def app(settings: Settings) -> AsyncIterator[int]:
    """Serve inside the block, and drain Envoy at its end; yield the port's number.

    Raises OSError if the port is in use, SettingsInvalid.
    """
    logging.configure(SERVICE, settings.log_level, settings.log_format, settings.region)
    telemetry = setup.configure(SERVICE, version("rag-platform"), settings.region)
    admin = EnvoyAdmin(settings.admin)
    async with AsyncExitStack() as stack:
        stack.callback(telemetry.close)
        writer = certificate_writer(settings, telemetry.metrics)
        if writer:
            register_metrics(writer, telemetry.metrics)
            await stack.enter_async_context(background(writer.keep_current()))
        await undo_drain(admin)
        start = Start(admin)
        await stack.enter_async_context(background(start.wait()))
        if settings.weights_url:
            weights = LaneWeights(admin, settings.weights_url, settings.weights_timeout)
            await stack.enter_async_context(background(weights.follow()))
        served = {**telemetry.metrics.pages(), **pages(writer, start)}
        http = serve_http(settings.host, settings.http_port, served)
        port = await stack.enter_async_context(http)
        log.info("listening", host=settings.host, http_port=port)
        try:
            yield port
        finally:
            await drain(admin, settings.drain_delay, settings.grace)


async def write_once(settings: Settings) -> None:
    """Write the first certificates, if Vault is configured. Raises SettingsInvalid, Unavailable, OSError."""
    logging.configure(SERVICE, settings.log_level, settings.log_format, settings.region)
    writer = certificate_writer(settings)
    if writer:
        await writer.write()
    else:
        log.info("edge_certificates_elsewhere", message="EDGE_VAULT_ADDRESS is not set")


def certificate_writer(
    settings: Settings, metrics: Metrics | None = None
) -> CertificateWriter | None:
    """What writes the certificates of the settings; None if they come from elsewhere."""
    options = settings.vault_options(SERVICE)
    if not options:
        return None
    options.require_usable()
    calls = Dependency(metrics.dependencies, "vault", {"rag.system": "vault"}) if metrics else None
    certificates = folder_certificates(settings)
    return CertificateWriter(options, certificates, settings.vault_certificate_ttl, calls)


def register_metrics(writer: CertificateWriter, metrics: Metrics) -> None:
    """Publish how long the certificates are valid, and whether Vault works."""
    certificate_gauge(metrics).set_function(lambda: writer.seconds_left)
    up, lease = secrets_gauges(metrics)
    up.set_function(lambda: float(writer.vault_works))
    lease.set_function(lambda: writer.lease_seconds)


def pages(writer: CertificateWriter | None, start: Start) -> Pages:
    """The health pages.

    `/health/started` is 503 until Envoy can serve, and `/health/ready` while a certificate is missing or
    has expired.
    """

    async def live() -> Page:
        return _page(200, status="live")

    async def ready() -> Page:
        if writer is None:
            return _page(200, status="ready")
        if not writer.seconds_left:
            return _page(503, status="certificate_expired", vault=writer.vault_works)
        return _page(200, status="ready", vault=writer.vault_works)

    async def started() -> Page:
        return _page(200, status="started") if start.done else _page(503, status="starting")

    return {"/health/live": live, "/health/started": started, "/health/ready": ready}


def _page(code: int, **fields: object) -> Page:
    return Page(json.dumps(fields).encode(), code)
