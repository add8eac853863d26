"""Runs the platform on this machine, for a tour, a benchmark or a test."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rag_common.settings import SettingsInvalid
from rag_embedder.models.prepare_model import is_prepared, prepared_directory
from rag_embedder.settings import Settings
from rag_local import dev_keys
from rag_local.child import run
from rag_local.connection_info import ConnectionInfo, certificate_connection, plaintext_connection
from rag_local.monitoring import (
    EDGE_METRICS_PORT,
    Monitoring,
    TraceEndpoints,
    run_monitoring,
    run_trace_store,
)
from rag_local.program import StartFailed, require_port
from rag_local.service_processes import (
    OwnSettings,
    ServiceProcess,
    ServiceSpec,
    require_free,
    run_services,
    wait_healthy,
    with_gateways,
)
from rag_local.signals import stopped_by_signals

# Imported when they run: the clients and templates of Vault and Envoy take 0.1 s, before the services start.
if TYPE_CHECKING:
    from rag_local.backends.envoy import Edge
    from rag_local.backends.redis import LocalRedis
    from rag_local.secrets_backend import SecretsBackend

EDGE_PORT, VAULT_PORT = 8443, 8200
ISSUER, AUDIENCE = "rag-dev", "rag"

# The first start reads the model's file from a cold disk.
_READY_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Components:
    """What runs besides the services: a Vault with all secrets, and an edge in front of them.

    `traces` is a trace store, `observe` Prometheus and Alertmanager. `collector` is the HOST:PORT of an
    OTLP receiver in plaintext that gets the spans instead of a trace store, empty for none. `gateways` is
    the number of gateways; only the edge uses others than the first.
    """

    vault: bool = False
    edge: bool = False
    traces: bool = False
    collector: str = ""
    observe: bool = False
    gateways: int = 1


@dataclass(frozen=True, slots=True)
class Platform:
    """The running platform; `access` has the connection parameters for `rag` and grpcurl."""

    services: Sequence[ServiceProcess]
    ready_seconds: float
    access: ConnectionInfo
    traces: TraceEndpoints
    monitoring: Monitoring | None
    edge: Edge | None = None
    redis: LocalRedis | None = None


@contextmanager
def platform(
    home: Path,
    environment: Mapping[str, str] | None = None,
    parts: Components | None = None,
    on_alert: Callable[[str], None] = lambda _alert: None,
) -> Iterator[Platform]:
    """Run the services, healthy, with their data in `home`; with `observe`, alerts go to `on_alert`.

    A signal to stop this process leaves the block, and everything that was started is stopped. Raises
    StartFailed if a port is in use, the model cannot be prepared, or a component ends.
    """
    parts = parts or Components()
    specs = with_gateways(parts.gateways)
    require_free(specs)
    if parts.edge:
        for port in (EDGE_PORT, EDGE_METRICS_PORT):
            require_port(port, "edge")
    prepare_model(environment)
    began = time.monotonic()
    with stopped_by_signals(), ExitStack() as stack:
        trust, redis = _run_vault(stack, home) if parts.vault else (None, None)
        if not trust:
            dev_keys.ensure(home / "keys")
        settings = {"RAG_HOME": str(home), **(environment or {})}
        spans = (
            stack.enter_context(run_trace_store())
            if parts.traces
            else TraceEndpoints.of(parts.collector)
        )
        settings |= spans.settings
        if parts.edge:
            settings["GATEWAY_ADDRESS_HEADER"] = "x-envoy-external-address"
        own: OwnSettings = trust.settings if trust else lambda _service: {}
        services = stack.enter_context(run_services(home, settings, specs, own))
        wait_healthy(services, _READY_SECONDS)
        access = _connection_info(home, trust)
        front = None
        if parts.edge:
            front = _run_edge(stack, home, trust, spans.otlp, specs)
            access = access.via_edge(front)
        if spans.url:
            access = access.with_traces(spans.url)
        seconds = time.monotonic() - began
        monitoring = None
        if parts.observe:
            monitoring = stack.enter_context(
                run_monitoring(home, edge=parts.edge, on_alert=on_alert)
            )
        yield Platform(services, seconds, access, spans, monitoring, front, redis)


def _run_vault(stack: ExitStack, home: Path) -> tuple[SecretsBackend, LocalRedis]:
    from rag_local.secrets_backend import run_secrets_backend

    return stack.enter_context(run_secrets_backend(home, port=VAULT_PORT))


def _connection_info(home: Path, trust: SecretsBackend | None) -> ConnectionInfo:
    if not trust:
        return plaintext_connection(home)
    from rag_local.dev_certificates import issue_operator_credentials

    person = issue_operator_credentials(
        trust.vault, home / "operator", issuer=ISSUER, audience=AUDIENCE
    )
    return certificate_connection(person)


def _run_edge(
    stack: ExitStack,
    home: Path,
    trust: SecretsBackend | None,
    otlp: str,
    specs: Sequence[ServiceSpec],
) -> Edge:
    """Run the edge; with Vault it uses a client certificate from there for the gateway."""
    from rag_edge.edge_config import EdgeConfig
    from rag_local.backends.envoy import edge

    gateways = [spec for spec in specs if spec.name == "gateway"]
    values = EdgeConfig(
        port=EDGE_PORT,
        gateways=tuple(f"127.0.0.1:{spec.port}" for spec in gateways),
        pages=tuple(f"127.0.0.1:{spec.http_port}" for spec in gateways),
        reflection=True,
        metrics_port=EDGE_METRICS_PORT,
        otlp=otlp,
    )
    if trust:
        from rag_local.dev_certificates import issue_edge_certificate

        identity = (home / "certificates" / "identity").resolve()
        issue_edge_certificate(trust.vault, identity)
        values = replace(values, gateway_tls=True, identity=str(identity))
    return stack.enter_context(edge(home, values))


def _is_prepared() -> bool:
    try:
        own = Settings.load()
    except SettingsInvalid as error:
        raise StartFailed(str(error)) from error
    return is_prepared(prepared_directory(own.models_dir, own.model, own.precision), own.model)


def prepare_model(environment: Mapping[str, str] | None = None) -> None:
    """Download and convert the embedding model if needed. Raises StartFailed.

    `environment` are further settings of the embedder, None for none.
    """
    if not environment and _is_prepared():
        return
    command = [sys.executable, "-m", "rag_embedder.models.prepare_model"]
    done = run(command, env={**os.environ, **(environment or {})})
    if done.returncode:
        raise StartFailed("the embedding model could not be prepared; see the output above")


def rag(*arguments: str, access: ConnectionInfo) -> None:
    """Run the command `rag` as a user would. Raises StartFailed if it fails."""
    done = run(
        [Path(sys.executable).with_name("rag"), *arguments],
        env={**os.environ, **access.settings},
    )
    if done.returncode:
        raise StartFailed(f"`rag {arguments[0]}` failed; see the output above")
