"""Two platforms at once, measured in turns: plaintext and trusted, or this checkout and another one."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rag_client.transport.channel import ClientCertificate, Gateway
from rag_edge.edge_config import EdgeConfig
from rag_local import dev_keys
from rag_local.backends.envoy import edge
from rag_local.dev_certificates import Operator
from rag_local.platform import Components, Platform, platform
from rag_local.program import StartFailed
from rag_local.service_processes import (
    SERVICES,
    ServiceProcess,
    ServiceSpec,
    require_free,
    run_services,
    wait_healthy,
)
from tools.bench.load import Way, dev_token

# Beside those of `make run`, which the other platform has.
SPECS = tuple(spec.shifted(100) for spec in SERVICES)
TENANT, RIVAL = "bench", "bench-rival"
_READY_SECONDS = 180.0


@contextmanager
def pair(home: Path) -> Iterator[list[Way]]:
    """The ways into both, that with the fewest parts first. Raises StartFailed."""
    with plaintext(home / "plain") as plain, trusted(home / "trusted") as sealed:
        yield [*plain, *sealed]


@contextmanager
def plaintext(home: Path) -> Iterator[list[Way]]:
    """As `make run` has it: straight to the gateway; and through an Envoy with TLS."""
    header = {"GATEWAY_ADDRESS_HEADER": "x-envoy-external-address"}
    front = SPECS[-1]
    values = EdgeConfig(
        port=0, gateways=(f"127.0.0.1:{front.port}",), pages=(f"127.0.0.1:{front.http_port}",)
    )
    with running(home, SPECS, header) as services, edge(home, values) as outer:
        direct = way("direct, plaintext", services, home)
        secured = Gateway(f"localhost:{outer.port}", outer.ca)
        pids = {**direct.pids, "envoy": outer.process.pid}
        yield [direct, Way("edge", secured, direct.token, pids)]


@contextmanager
def trusted(home: Path, collector: str = "") -> Iterator[list[Way]]:
    """Certificates from Vault, mutual TLS everywhere, limits in Redis: without and with Envoy.

    Spans go to the OTLP receiver at `collector`, HOST:PORT; nothing is traced if it is empty.
    """
    parts = Components(vault=True, edge=True, collector=collector)
    with platform(home, parts=parts) as started:
        yield trusted_ways(home, started)


def trusted_ways(home: Path, started: Platform) -> list[Way]:
    """The ways into a platform with Vault and Envoy: straight to its first gateway, and by the edge."""
    if not (started.edge and started.redis):
        raise StartFailed("the edge or Redis does not run")
    person = Operator((home / "operator").resolve())
    folder = person.folder
    own = ClientCertificate(folder / "tls.crt", folder / "tls.key")
    pids = {**pids_of(started.services), "redis": started.redis.process.pid}
    front = next(one.spec for one in started.services if one.spec.name == "gateway")
    direct = Gateway(f"localhost:{front.port}", folder / "ca.crt", own)
    secured = Gateway(started.access.target, Path(started.access.settings["RAG_CA_FILE"]))

    def token() -> str:
        return person.token.read_text().strip()

    return [
        Way("direct, trusted", direct, token, pids),
        Way("edge, trusted", secured, token, {**pids, "envoy": started.edge.process.pid}),
    ]


@contextmanager
def checkout(root: Path, home: Path) -> Iterator[list[ServiceProcess]]:
    """The services of another checkout, started by its own .venv, on the ports of SPECS.

    Raises StartFailed. Only the services' settings are relied upon, which stay the same over versions.
    """
    python = root / ".venv/bin/python"
    if not python.is_file():
        raise StartFailed(f"BASELINE: there is no {python}: run `make run ONCE=1` in {root} first")
    specs = [
        replace(spec, command=(str(python), "-m", spec.package), folder=root) for spec in SPECS
    ]
    with running(home, specs, {"PYTHONPATH": ""}) as started:
        yield started


@contextmanager
def running(
    home: Path, specs: Sequence[ServiceSpec], settings: Mapping[str, str]
) -> Iterator[list[ServiceProcess]]:
    """Services in plaintext that are healthy, with their data and keys in `home`. Raises StartFailed."""
    require_free(specs)
    dev_keys.ensure(home / "keys")
    with run_services(home, {"RAG_HOME": str(home.resolve()), **settings}, specs) as started:
        wait_healthy(started, _READY_SECONDS)
        yield started


def way(name: str, services: Sequence[ServiceProcess], home: Path, tenant: str = TENANT) -> Way:
    """Straight to the gateway among the services, in plaintext; `home` has the key of the tokens."""
    [front] = [one.spec for one in services if one.spec.name == "gateway"]
    gateway = Gateway(f"127.0.0.1:{front.port}")
    return Way(name, gateway, dev_token(home, tenant), pids_of(services))


def pids_of(services: Sequence[ServiceProcess]) -> dict[str, int]:
    """The processes by the services' names; replicas have their number too."""
    return {service.name: service.process.pid for service in services}
