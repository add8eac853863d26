"""The services as local processes: started, awaited until healthy, stopped in order."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from rag_local.child import end
from rag_local.program import (
    StartFailed,
    last_log_line,
    listens,
    require_port,
    require_running,
    start_logged,
)

ROOT = Path(__file__).resolve().parents[3]
# Longer than a service takes to drain.
_DRAIN_SECONDS = 30.0

# Maps a service's label to settings that only this process may see.
OwnSettings = Callable[[str], Mapping[str, str]]

SERVING = health_pb2.HealthCheckResponse.SERVING


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A service: the ports it listens on, and how it is run.

    `command` is the program with its arguments, this interpreter with the service's package if it is
    empty; `folder` is the working directory, None for that of this process. `replica` counts the
    processes of one service from 1.
    """

    name: str
    port: int
    health_port: int
    http_port: int
    command: tuple[str, ...] = ()
    folder: Path | None = None
    replica: int = 1

    @property
    def label(self) -> str:
        """The name, with the replica's number from the second one on: gateway, gateway-2."""
        return self.name if self.replica == 1 else f"{self.name}-{self.replica}"

    @property
    def package(self) -> str:
        """The service's package."""
        return f"rag_{self.name}"

    def shifted(self, by: int) -> "ServiceSpec":
        """The same service on ports that are higher by this number."""
        ports = (self.port + by, self.health_port + by, self.http_port + by)
        return ServiceSpec(self.name, *ports, self.command, self.folder, self.replica)

    @property
    def ports(self) -> dict[str, str]:
        """The settings of the service's ports."""
        prefix = self.name.upper()
        return {
            f"{prefix}_PORT": str(self.port),
            f"{prefix}_HEALTH_PORT": str(self.health_port),
            f"{prefix}_HTTP_PORT": str(self.http_port),
        }


# Whom each service calls.
CALLS = {
    "gateway": ("embedder", "retriever", "generator", "ingestor"),
    "ingestor": ("embedder", "retriever"),
}

# The gateway is last, as it is ready when the others are. They are stopped in the reverse order.
SERVICES = (
    ServiceSpec("embedder", 50052, 50062, 50072),
    ServiceSpec("retriever", 50053, 50063, 50073),
    ServiceSpec("generator", 50054, 50064, 50074),
    ServiceSpec("ingestor", 50057, 50067, 50077),
    ServiceSpec("gateway", 50051, 50061, 50071),
)


@dataclass(slots=True)
class ServiceProcess:
    """A service's process and its log. `respawn` starts another process of it, None if it cannot."""

    spec: ServiceSpec
    process: "subprocess.Popen[bytes]"
    log: Path
    ready_seconds: float = 0.0
    respawn: "Callable[[], subprocess.Popen[bytes]] | None" = None

    @property
    def name(self) -> str:
        """The service's name, with the replica's number if it is not the first."""
        return self.spec.label

    def healthy(self) -> bool:
        """Whether it reports SERVING."""
        return healthy(self.spec)

    def restart(self) -> None:
        """Start it again after it has ended. The log is continued."""
        if self.respawn is None:
            raise ValueError(f"the {self.spec.name} was not started by `run_services`")
        self.process = self.respawn()


# Between the ports of one replica of a service and those of the next.
_REPLICA_PORTS = 1000


def with_gateways(number: int) -> tuple[ServiceSpec, ...]:
    """SERVICES with that many gateways, at least one; the further ones have higher ports."""
    first = SERVICES[-1]
    more = (
        replace(first.shifted(_REPLICA_PORTS * (replica - 1)), replica=replica)
        for replica in range(2, number + 1)
    )
    return (*SERVICES, *more)


def require_free(specs: Sequence[ServiceSpec] = SERVICES) -> None:
    """Raise StartFailed, naming the port, if one of the ports is in use."""
    for spec in specs:
        for port in (spec.port, spec.health_port, spec.http_port):
            require_port(port, spec.name)


@contextmanager
def run_services(
    home: Path,
    environment: Mapping[str, str],
    specs: Sequence[ServiceSpec] = SERVICES,
    own: OwnSettings = lambda _service: {},
) -> Iterator[list[ServiceProcess]]:
    """Start the services; on leaving, end them in the reverse order, each draining first.

    `own` returns the settings that only the process of this label may see.
    """
    shared = {**environment, **targets(specs)}
    logs = home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        started: list[ServiceProcess] = []
        for spec in specs:
            log = logs / f"{spec.label}.log"
            log.unlink(missing_ok=True)
            respawn = partial(_respawn, spec, shared, own, log)
            service = ServiceProcess(spec, respawn(), log, respawn=respawn)
            # Its process at the end is another one if it was restarted.
            stack.callback(lambda service: end(service.process, _DRAIN_SECONDS), service)
            started.append(service)
        yield started


def _respawn(
    spec: ServiceSpec, shared: Mapping[str, str], own: OwnSettings, log: Path
) -> "subprocess.Popen[bytes]":
    """Start the service; its own settings are computed for each start."""
    return start(spec, {**shared, **own(spec.label)}, log)


def targets(specs: Sequence[ServiceSpec]) -> dict[str, str]:
    """The settings of the services that call others, with the addresses of these."""
    ports = {spec.name: spec.port for spec in specs}
    return {
        f"{caller.upper()}_{name.upper()}_TARGET": f"127.0.0.1:{ports[name]}"
        for caller, names in CALLS.items()
        for name in names
        if name in ports
    }


def start(
    spec: ServiceSpec, environment: Mapping[str, str], log: Path
) -> "subprocess.Popen[bytes]":
    """Start a service's process. It gets no Ctrl-C from the terminal: the caller must end it."""
    env = {**os.environ, **environment, **spec.ports}
    command = spec.command or (sys.executable, "-m", spec.package)
    return start_logged(command, log, env=env, cwd=spec.folder)


def wait_healthy(services: Sequence[ServiceProcess], timeout: float) -> None:
    """Return when all report SERVING. Raises StartFailed if one ends or is not ready in time."""
    began = time.monotonic()
    with ExitStack() as stack:
        waiting = [
            (service, stack.enter_context(HealthProbe(service.spec))) for service in services
        ]
        while waiting:
            for service, probe in list(waiting):
                require_running(service.process, f"the {service.spec.name}", service.log)
                if probe.serving():
                    service.ready_seconds = time.monotonic() - began
                    waiting.remove((service, probe))
            if time.monotonic() - began > timeout:
                names = ", ".join(service.spec.name for service, _ in waiting)
                raise StartFailed(
                    f"not ready within {timeout:.0f} s: {names}; {last_log_line(waiting[0][0].log)}"
                )
            time.sleep(0.05)


def healthy(spec: ServiceSpec) -> bool:
    """Whether the service reports SERVING on its health port."""
    with HealthProbe(spec) as probe:
        return probe.serving()


class HealthProbe:
    """Asks a service for its health, over one connection; a context manager that closes it.

    Before the port is open it is tried without gRPC, whose channels cost the CPU that the service needs.
    """

    def __init__(self, spec: ServiceSpec) -> None:
        self._port = spec.health_port
        self._channel: grpc.Channel | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._channel:
            self._channel.close()

    def serving(self) -> bool:
        """Whether the service reports SERVING."""
        if self._channel is None:
            if not listens(self._port):
                return False
            self._channel = grpc.insecure_channel(f"127.0.0.1:{self._port}")
        stub = health_pb2_grpc.HealthStub(self._channel)
        try:
            reply = stub.Check(health_pb2.HealthCheckRequest(), timeout=0.5)
        except grpc.RpcError:
            return False
        return bool(reply.status == SERVING)
