"""The edge on this machine: Envoy before the gateway, with a development certificate."""

import json
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from rag_local.authority import Authority
from rag_local.envoy import DESCRIPTORS, write
from rag_local.processes import StartFailed, program
from rag_local.values import Values

NAMES = ("localhost", "127.0.0.1", "::1")

_READY_SECONDS = 20.0
_DRAIN_SECONDS = 20.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Edge:
    """An Envoy that runs: its port, and `ca`, the roots that a client checks its certificate with."""

    port: int
    ca: Path
    folder: Path
    process: "subprocess.Popen[bytes]"
    admin: str

    @property
    def log(self) -> Path:
        """What Envoy says of itself."""
        return self.folder / "envoy.log"

    @property
    def access_log(self) -> Path:
        """A line of JSON for each call that has ended."""
        return self.folder / "access.log"

    def ask(self, path: str, *, method: str = "GET") -> str:
        """What Envoy's administration answers. Raises httpx.HTTPError."""
        return _ask(self.admin, path, method)

    def stat(self, name: str) -> int:
        """One counter or gauge, 0 where it has never been touched."""
        found = json.loads(self.ask(f"/stats?format=json&filter=^{name}$"))["stats"]
        return sum(int(one["value"]) for one in found if one.get("name") == name)

    def drain(self) -> None:
        """Say that no new calls are wanted, and return when none is left or the time for that is up."""
        self.ask("/healthcheck/fail", method="POST")
        end = time.monotonic() + _DRAIN_SECONDS
        while self.stat("http.edge.downstream_rq_active") and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)


@contextmanager
def edge(home: Path, values: Values) -> Iterator[Edge]:
    """Envoy in front of the gateways that `values` names; drained before it is ended.

    Its folders are this function's to choose: what `values` says of them counts only for
    `identity`. Raises StartFailed where Envoy is not there or does not start.
    """
    folder = (home / "edge").resolve()
    authority = Authority(home.resolve() / "certificates" / "authority")
    certificates = home.resolve() / "certificates" / "edge"
    authority.issue(certificates, NAMES)
    # The path of a socket has 108 bytes at most, and `home` may be anywhere.
    sockets = Path(tempfile.mkdtemp(prefix="rag-edge-"))
    placed = replace(
        values,
        certificates=str(certificates),
        secrets=str(folder),
        descriptors=str(DESCRIPTORS),
        admin=str(sockets / "admin"),
        access_log=str(folder / "access.log"),
    )
    process = _start(write(folder, placed), folder / "envoy.log")
    try:
        port = _ready(process, placed.admin, folder / "envoy.log")
        started = Edge(port, authority.roots, folder, process, placed.admin)
        yield started
        if process.poll() is None:
            started.drain()
    finally:
        _end(process)
        shutil.rmtree(sockets, ignore_errors=True)


def binary() -> str:
    """Envoy's path: beside this interpreter, or on the PATH. Raises StartFailed."""
    return program("envoy", "`bash scripts/setup.sh .venv` installs it")


def _start(configuration: Path, log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as file:
        return subprocess.Popen(
            [
                *(binary(), "--config-path", str(configuration), "--concurrency", "2"),
                *("--log-level", "warning", "--disable-hot-restart"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _ready(process: "subprocess.Popen[bytes]", admin: str, log: Path) -> int:
    """The port that is listened on, once it is. Raises StartFailed."""
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise StartFailed(f"the edge ended: {_last_words(log)}")
        port = _listening(admin)
        if port:
            return port
        time.sleep(_POLL_SECONDS)
    raise StartFailed(f"the edge is not ready within {_READY_SECONDS:.0f} s; its log is {log}")


def _listening(admin: str) -> int:
    try:
        if _ask(admin, "/ready", "GET").strip() != "LIVE":
            return 0
        listeners = json.loads(_ask(admin, "/listeners?format=json", "GET"))["listener_statuses"]
    except httpx.HTTPError:
        return 0
    [address] = [one["local_address"] for one in listeners if one["name"] == "edge"]
    return int(address["socket_address"]["port_value"])


def _ask(admin: str, path: str, method: str) -> str:
    transport = httpx.HTTPTransport(uds=admin)
    with httpx.Client(transport=transport, base_url="http://edge", timeout=5.0) as client:
        return client.request(method, path).text


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return f"{lines[-1]} (log: {log})" if lines else f"it said nothing (log: {log})"
