"""The local edge: Envoy in front of the gateway, with a development certificate."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from rag_edge.edge_config import EdgeConfig
from rag_edge.render import CONFIGURATION, DESCRIPTORS, write
from rag_local.certificate_authority import Authority
from rag_local.child import end
from rag_local.program import program, start_logged, wait_ready

NAMES = ("localhost", "127.0.0.1", "::1")

_READY_SECONDS = 20.0
_DRAIN_SECONDS = 20.0
_POLL_SECONDS = 0.05


@dataclass(slots=True)
class Edge:
    """A running Envoy: its port, and `ca`, the roots with which clients verify its certificate."""

    port: int
    ca: Path
    folder: Path
    process: "subprocess.Popen[bytes]"
    admin: str
    name: str = "edge"

    def restart(self) -> None:
        """Start it again after it has ended, with the same configuration."""
        self.process = _start(self.folder / CONFIGURATION, self.log)

    def healthy(self) -> bool:
        """Whether it listens."""
        return _listening(self.admin) == self.port

    @property
    def log(self) -> Path:
        """Envoy's log file."""
        return self.folder / "envoy.log"

    @property
    def access_log(self) -> Path:
        """The access log: a line of JSON for each call that has ended."""
        return self.folder / "access.log"

    def admin_request(self, path: str, *, method: str = "GET") -> str:
        """The response of Envoy's admin interface. Raises httpx.HTTPError."""
        return _admin_request(self.admin, path, method)

    def stat(self, name: str) -> int:
        """The value of a counter or gauge, 0 if it does not exist yet."""
        stats = json.loads(self.admin_request(f"/stats?format=json&filter=^{name}$"))["stats"]
        return sum(int(one["value"]) for one in stats if one.get("name") == name)

    def drain(self) -> None:
        """Fail the health check, and return when no call is running or after 20 seconds."""
        self.admin_request("/healthcheck/fail", method="POST")
        end = time.monotonic() + _DRAIN_SECONDS
        while self.stat("http.edge.downstream_rq_active") and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)


@contextmanager
def edge(home: Path, config: EdgeConfig) -> Iterator[Edge]:
    """Run Envoy in front of the gateways in `config`; it is drained before it is ended.

    This function sets the paths in `config`, all but `identity`. Raises StartFailed if Envoy is not
    installed or does not start.
    """
    folder = (home / "edge").resolve()
    authority = Authority(home.resolve() / "certificates" / "authority")
    certificates = home.resolve() / "certificates" / "edge"
    authority.issue(certificates, NAMES)
    # A socket's path has at most 108 bytes, which a path below `home` could exceed.
    sockets = Path(tempfile.mkdtemp(prefix="rag-edge-"))
    placed = replace(
        config,
        certificates=str(certificates),
        secrets=str(folder),
        descriptors=str(DESCRIPTORS),
        admin=str(sockets / "admin"),
        access_log=str(folder / "access.log"),
    )
    write(folder, placed)
    (folder / "envoy.log").unlink(missing_ok=True)
    started = Edge(
        0,
        authority.roots,
        folder,
        _start(folder / CONFIGURATION, folder / "envoy.log"),
        placed.admin,
    )
    try:
        started.port = wait_ready(
            started.process,
            "the edge",
            started.log,
            lambda: _listening(placed.admin),
            _READY_SECONDS,
        )
        yield started
        if started.process.poll() is None:
            started.drain()
    finally:
        end(started.process, 10)
        shutil.rmtree(sockets, ignore_errors=True)


def binary() -> str:
    """Envoy's path: beside this interpreter, or on the PATH. Raises StartFailed."""
    return program("envoy", "`make run EDGE=1` installs it")


def _start(configuration: Path, log: Path) -> "subprocess.Popen[bytes]":
    command = [
        *(binary(), "--config-path", str(configuration), "--concurrency", "2"),
        *("--log-level", "warning", "--disable-hot-restart"),
        # By default a line of the access log shows up to ten seconds after its call.
        *("--file-flush-interval-msec", "200"),
    ]
    return start_logged(command, log)


def _listening(admin: str) -> int:
    """The port at which Envoy listens, 0 if it does not yet."""
    try:
        if _admin_request(admin, "/ready", "GET").strip() != "LIVE":
            return 0
        listeners = json.loads(_admin_request(admin, "/listeners?format=json", "GET"))[
            "listener_statuses"
        ]
    except httpx.HTTPError:
        return 0
    [address] = [one["local_address"] for one in listeners if one["name"] == "edge"]
    return int(address["socket_address"]["port_value"])


def _admin_request(admin: str, path: str, method: str) -> str:
    transport = httpx.HTTPTransport(uds=admin)
    with httpx.Client(transport=transport, base_url="http://edge", timeout=5.0) as client:
        return client.request(method, path).text
