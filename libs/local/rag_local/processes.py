"""The four services as processes of this machine: started, watched until healthy, stopped in order."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

ROOT = Path(__file__).resolve().parents[3]
SERVING = health_pb2.HealthCheckResponse.SERVING


class StartFailed(Exception):
    """A service does not start; the message is one sentence that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A service: its package, and the ports it takes."""

    name: str
    port: int
    health_port: int
    http_port: int

    @property
    def package(self) -> str:
        """What `python -m` starts."""
        return f"rag_{self.name}"

    @property
    def ports(self) -> dict[str, str]:
        """The settings that make the service listen where this says."""
        prefix = self.name.upper()
        return {
            f"{prefix}_PORT": str(self.port),
            f"{prefix}_HEALTH_PORT": str(self.health_port),
            f"{prefix}_HTTP_PORT": str(self.http_port),
        }


# The gateway comes last: it is ready when the others are. Stopping goes the other way round.
SERVICES = (
    Spec("embedder", 50052, 50062, 50072),
    Spec("retriever", 50053, 50063, 50073),
    Spec("generator", 50054, 50064, 50074),
    Spec("gateway", 50051, 50061, 50071),
)


@dataclass(slots=True)
class Running:
    """A service's process and its log."""

    spec: Spec
    process: "subprocess.Popen[bytes]"
    log: Path
    ready_seconds: float = 0.0


def require_free(specs: Sequence[Spec] = SERVICES) -> None:
    """Raise StartFailed, naming the port, where one of the ports is taken."""
    for spec in specs:
        for port in (spec.port, spec.health_port, spec.http_port):
            require_port(port, spec.name)


def require_port(port: int, name: str) -> None:
    """Raise StartFailed where the port, which the named part needs, is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise StartFailed(
                f"port {port}, which the {name} needs, is taken: stop what uses it "
                f"(ss -ltnp 'sport = :{port}' shows it), or a former `make run`"
            ) from error


def free_port() -> int:
    """A port of this machine's that nobody has at this moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def program(name: str, install: str) -> str:
    """The path of a program: beside this interpreter, or on the PATH.

    Raises StartFailed, with `install` as what to do, where there is none.
    """
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.is_file() else shutil.which(name)
    if not found:
        raise StartFailed(f"{name} is not installed: {install}")
    return found


@contextmanager
def running(
    home: Path,
    environment: Mapping[str, str],
    specs: Sequence[Spec] = SERVICES,
    own: Callable[[str], Mapping[str, str]] = lambda _service: {},
) -> Iterator[list[Running]]:
    """Start the services; on leaving, end them in the reverse order, each draining first.

    `own` gives a service's settings that no other one may see.
    """
    together = {**environment, **targets(specs)}
    logs = home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        started = []
        for spec in specs:
            file = stack.enter_context((logs / f"{spec.name}.log").open("wb"))
            process = start(spec, {**together, **own(spec.name)}, file)
            service = Running(spec, process, logs / f"{spec.name}.log")
            stack.callback(_end, service)
            started.append(service)
        yield started


def targets(specs: Sequence[Spec]) -> dict[str, str]:
    """The settings by which the gateway finds the other services."""
    return {
        f"GATEWAY_{spec.name.upper()}_TARGET": f"127.0.0.1:{spec.port}"
        for spec in specs
        if spec.name != "gateway"
    }


def start(
    spec: Spec, environment: Mapping[str, str], log: "IO[bytes] | int"
) -> "subprocess.Popen[bytes]":
    """One service's process. It gets no Ctrl-C of the terminal's: its starter ends it."""
    return subprocess.Popen(
        [sys.executable, "-m", spec.package],
        env={**os.environ, **environment, **spec.ports},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def wait_healthy(services: Sequence[Running], timeout: float) -> None:
    """Return when all say SERVING. Raises StartFailed for one that ends, or is not ready in time."""
    began = time.monotonic()
    waiting = list(services)
    while waiting:
        for service in list(waiting):
            if service.process.poll() is not None:
                raise StartFailed(f"the {service.spec.name} ended: {_last_words(service)}")
            if healthy(service.spec):
                service.ready_seconds = time.monotonic() - began
                waiting.remove(service)
        if time.monotonic() - began > timeout:
            names = ", ".join(service.spec.name for service in waiting)
            raise StartFailed(
                f"not ready within {timeout:.0f} s: {names}; {_last_words(waiting[0])}"
            )
        time.sleep(0.05)


def healthy(spec: Spec) -> bool:
    """Whether the service says SERVING on its health port."""
    with grpc.insecure_channel(f"127.0.0.1:{spec.health_port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            reply = stub.Check(health_pb2.HealthCheckRequest(), timeout=0.5)
        except grpc.RpcError:
            return False
    return bool(reply.status == SERVING)


def _end(service: Running) -> None:
    if service.process.poll() is not None:
        return
    service.process.send_signal(signal.SIGTERM)
    try:
        service.process.wait(30)
    except subprocess.TimeoutExpired:
        service.process.kill()
        service.process.wait()


def _last_words(service: Running) -> str:
    lines = service.log.read_text(errors="replace").strip().splitlines()
    return f"{lines[-1]} (log: {service.log})" if lines else f"it said nothing (log: {service.log})"
