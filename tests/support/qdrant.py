"""A real Qdrant server on free ports with its data in a folder: started, killed and started again by tests.

QDRANT_SERVER names the program.
"""

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from rag_local.child import end, kill
from rag_local.program import StartFailed, free_port, start_logged, wait_ready

PROGRAM = "QDRANT_SERVER"
_SECONDS = 60.0


class QdrantServer:
    """One server, on the same ports and with the same data each time it starts."""

    def __init__(
        self, folder: Path, *options: str, host: str = "127.0.0.1", **settings: str
    ) -> None:
        """`settings` as in QDRANT__SERVICE__…, without the leading QDRANT__; `options` of its command."""
        self._program = program()
        self._folder = folder
        self._options = options
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self.http_port, self.grpc_port = free_port(), free_port()
        tls = settings.get("SERVICE__ENABLE_TLS") == "true"
        self.host = host
        self._scheme = "https" if tls else "http"

    @property
    def url(self) -> str:
        """Of its HTTP API."""
        return f"{self._scheme}://{self.host}:{self.http_port}"

    def start(self) -> None:
        """Start, and return when it serves."""
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / "log"
        environment = {**os.environ, **self._environment()}
        command = [self._program, *self._options]
        self._process = start_logged(command, log, env=environment, cwd=self._folder)
        try:
            wait_ready(self._process, "qdrant", log, self.serves, _SECONDS)
        except StartFailed:
            self.stop()
            raise

    def serves(self) -> bool:
        """Whether it answers; with TLS, whether it listens."""
        if self._scheme == "https":
            return b"gRPC" in (self._folder / "log").read_bytes()
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=1.0) as reply:  # noqa: S310
                return bool(reply.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def is_whole(self, collection: str) -> bool:
        """Whether every copy of the collection's shards is up to date, as far as this node knows."""
        url = f"{self.url}/collections/{collection}/cluster"
        with urllib.request.urlopen(url, timeout=5.0) as reply:  # noqa: S310
            reported = json.load(reply)["result"]
        shards = [*reported["local_shards"], *reported["remote_shards"]]
        return not reported["shard_transfers"] and all(one["state"] == "Active" for one in shards)

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process:
            kill(self._process)
            self._process = None

    def stop(self) -> None:
        """End it if it runs."""
        if self._process:
            end(self._process, _SECONDS)
            self._process = None

    def _environment(self) -> Mapping[str, str]:
        settings = {
            "STORAGE__STORAGE_PATH": str(self._folder / "storage"),
            "STORAGE__SNAPSHOTS_PATH": str(self._folder / "snapshots"),
            "SERVICE__HOST": self.host,
            "SERVICE__HTTP_PORT": str(self.http_port),
            "SERVICE__GRPC_PORT": str(self.grpc_port),
            "TELEMETRY_DISABLED": "true",
            **self._settings,
        }
        return {f"QDRANT__{name}": value for name, value in settings.items()}


def program() -> str:
    """The path in QDRANT_SERVER. Without it, CI fails and elsewhere the test is skipped."""
    path = os.environ.get(PROGRAM, "")
    if path:
        return path
    sentence = f"{PROGRAM} is not set: it names the program of a Qdrant server, 1.19 or newer"
    if os.environ.get("CI") == "true":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence, allow_module_level=True)


@contextmanager
def qdrant_server(**settings: str) -> Iterator[QdrantServer]:
    """A server that runs while inside."""
    with TemporaryDirectory(prefix="qdrant-") as folder:
        server = QdrantServer(Path(folder), **settings)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def qdrant_cluster(hosts: Sequence[str]) -> Iterator[list[QdrantServer]]:
    """Nodes that share their collections, at these addresses and all on the same ports, while inside."""
    with TemporaryDirectory(prefix="qdrant-cluster-") as folder, ExitStack() as stack:
        nodes: list[QdrantServer] = []
        port = free_port()
        for number, host in enumerate(hosts):
            uri = f"http://{host}:{port}"
            joining = ("--bootstrap", f"http://{hosts[0]}:{port}") if number else ()
            settings = {"CLUSTER__ENABLED": "true", "CLUSTER__P2P__PORT": str(port)}
            home = Path(folder) / str(number)
            node = QdrantServer(home, "--uri", uri, *joining, host=host, **settings)
            if nodes:
                node.http_port, node.grpc_port = nodes[0].http_port, nodes[0].grpc_port
            node.start()
            stack.callback(node.stop)
            nodes.append(node)
        yield nodes
