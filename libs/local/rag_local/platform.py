"""One way to have the platform running on this machine, for a tour, a measurement or a test."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rag_local import keys
from rag_local.access import Access, by_certificate, plain
from rag_local.edge import edge
from rag_local.identities import edge_identity, operator
from rag_local.observed import EDGE_METRICS_PORT, Traced, Watched, traced, watched
from rag_local.processes import (
    Running,
    StartFailed,
    require_free,
    require_port,
    running,
    wait_healthy,
)
from rag_local.trusted import Trusted, trusted
from rag_local.values import Values

EDGE_PORT, VAULT_PORT = 8443, 8200
ISSUER, AUDIENCE = "rag-dev", "rag"

# The first start of a machine reads the model's file from a cold disk.
_READY_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What runs besides the four services: a Vault from which all secrets come, an edge in front.

    `traces` is a store of traces, `observe` Prometheus and Alertmanager, which look on.
    """

    vault: bool = False
    edge: bool = False
    traces: bool = False
    observe: bool = False


@dataclass(frozen=True, slots=True)
class Platform:
    """What runs; `access` is what `rag` is told to reach it, and grpcurl in its words."""

    services: Sequence[Running]
    ready_seconds: float
    access: Access
    traces: Traced
    watched: Watched | None


@contextmanager
def platform(
    home: Path,
    environment: Mapping[str, str] | None = None,
    parts: Parts | None = None,
    tell: Callable[[str], None] = lambda _alarm: None,
) -> Iterator[Platform]:
    """The services, healthy, with their data in `home`; alarms are told, where `observe` looks on.

    Raises StartFailed where a port is taken, the model cannot be made ready, or a part ends.
    """
    parts = parts or Parts()
    require_free()
    if parts.edge:
        for port in (EDGE_PORT, EDGE_METRICS_PORT):
            require_port(port, "edge")
    prepare_model()
    began = time.monotonic()
    with ExitStack() as stack:
        trust = stack.enter_context(trusted(home, port=VAULT_PORT)) if parts.vault else None
        if not trust:
            keys.ensure(home / "keys")
        settings = {"RAG_HOME": str(home), **(environment or {})}
        spans = stack.enter_context(traced()) if parts.traces else Traced({})
        settings |= spans.settings
        if parts.edge:
            settings["GATEWAY_ADDRESS_HEADER"] = "x-envoy-external-address"
        own = trust.settings if trust else _nothing
        services = stack.enter_context(running(home, settings, own=own))
        wait_healthy(services, _READY_SECONDS)
        access = _access(home, trust)
        if parts.edge:
            values = replace(_values(home, trust), otlp=spans.otlp)
            started = stack.enter_context(edge(home, values))
            access = access.through(started)
        if spans.url:
            access = access.reading(spans.url)
        seconds = time.monotonic() - began
        looking = None
        if parts.observe:
            looking = stack.enter_context(watched(home, edge=parts.edge, tell=tell))
        yield Platform(services, seconds, access, spans, looking)


def _access(home: Path, trust: Trusted | None) -> Access:
    if not trust:
        return plain(home)
    person = operator(trust.vault, home / "operator", issuer=ISSUER, audience=AUDIENCE)
    return by_certificate(person)


def _values(home: Path, trust: Trusted | None) -> Values:
    """What the edge is told; with Vault it shows the gateway a certificate from there."""
    values = Values(port=EDGE_PORT, reflection=True, metrics_port=EDGE_METRICS_PORT)
    if not trust:
        return values
    identity = (home / "certificates" / "identity").resolve()
    edge_identity(trust.vault, identity)
    return replace(values, gateway_tls=True, identity=str(identity))


def _nothing(_service: str) -> Mapping[str, str]:
    return {}


def prepare_model() -> None:
    """Make the embedding model ready, once. Raises StartFailed."""
    done = subprocess.run([sys.executable, "-m", "rag_embedder.library"], check=False)
    if done.returncode:
        raise StartFailed("the embedding model could not be prepared; what is above says why")


def rag(*arguments: str, access: Access) -> None:
    """The command `rag`, exactly as a user has it. Raises StartFailed where it fails."""
    done = subprocess.run(
        [Path(sys.executable).with_name("rag"), *arguments],
        env={**os.environ, **access.settings},
        check=False,
    )
    if done.returncode:
        raise StartFailed(f"`rag {arguments[0]}` failed; what is above says why")
