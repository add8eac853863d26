"""Two platforms at once, so that what they spend is measured in turns: one in plaintext, one trusted."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rag_client.channel import ClientCertificate, Gateway
from rag_local import keys
from rag_local.edge import edge
from rag_local.identities import Operator
from rag_local.platform import Parts, platform
from rag_local.processes import (
    Running,
    Spec,
    StartFailed,
    require_free,
    running,
    wait_healthy,
)
from rag_local.values import Values

# Beside those of `make run`, which the trusted one takes.
SPECS = (
    Spec("embedder", 50152, 50162, 50172),
    Spec("retriever", 50153, 50163, 50173),
    Spec("generator", 50154, 50164, 50174),
    Spec("gateway", 50151, 50161, 50171),
)
_READY_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Way:
    """A way to a gateway, and the processes behind it by name; those of the edge are not on all ways."""

    name: str
    gateway: Gateway
    token_file: Path | None
    pids: Mapping[str, int]


@contextmanager
def pair(home: Path) -> Iterator[list[Way]]:
    """The ways into both, the barest first. Raises StartFailed."""
    with plaintext(home / "plain") as plain, trusted(home / "trusted") as sealed:
        yield [*plain, *sealed]


@contextmanager
def plaintext(home: Path) -> Iterator[list[Way]]:
    """As `make run` has it: straight to the gateway; and through an Envoy with TLS."""
    require_free(SPECS)
    keys.ensure(home / "keys")
    settings = {
        "RAG_HOME": str(home.resolve()),
        "GATEWAY_ADDRESS_HEADER": "x-envoy-external-address",
    }
    with running(home, settings, SPECS) as services:
        wait_healthy(services, _READY_SECONDS)
        front = SPECS[-1]
        values = Values(
            port=0,
            gateways=(f"127.0.0.1:{front.port}",),
            pages=(f"127.0.0.1:{front.http_port}",),
        )
        with edge(home, values) as outer:
            pids = _pids(services)
            direct = Gateway(f"127.0.0.1:{front.port}")
            secured = Gateway(f"localhost:{outer.port}", outer.ca)
            yield [
                Way("direct, plaintext", direct, None, pids),
                Way("edge", secured, None, {**pids, "envoy": outer.process.pid}),
            ]


@contextmanager
def trusted(home: Path) -> Iterator[list[Way]]:
    """Certificates from Vault, mutual TLS everywhere, limits in Redis: with and without Envoy."""
    with platform(home, parts=Parts(vault=True, edge=True)) as started:
        person = Operator((home / "operator").resolve())
        settings = started.access.settings
        pids = {**_pids(started.services), "redis": _child("redis-server", "")}
        own = ClientCertificate(person.folder / "tls.crt", person.folder / "tls.key")
        direct = Gateway(
            person.settings(_address(started.services))["RAG_TARGET"],
            person.folder / "ca.crt",
            own,
        )
        secured = Gateway(started.access.target, Path(settings["RAG_CA_FILE"]))
        envoy = _child("envoy", str(home.resolve()))
        yield [
            Way("direct, trusted", direct, person.token, pids),
            Way("edge, trusted", secured, person.token, {**pids, "envoy": envoy}),
        ]


def _pids(services: Sequence[Running]) -> dict[str, int]:
    return {service.spec.name: service.process.pid for service in services}


def _address(services: Sequence[Running]) -> str:
    return next(f"localhost:{one.spec.port}" for one in services if one.spec.name == "gateway")


def _child(name: str, word: str) -> int:
    """This process's child of that name, with that word among its arguments. Raises StartFailed."""
    own = Path("/proc/self/task")
    for children in own.glob("*/children"):
        for pid in children.read_text().split():
            process = Path("/proc") / pid
            if (process / "comm").read_text().strip() == name and word in _arguments(process):
                return int(pid)
    raise StartFailed(f"{name} does not run")


def _arguments(process: Path) -> str:
    return (process / "cmdline").read_bytes().decode(errors="replace")
