"""A Kubernetes cluster in a folder: started, used by kubectl and helm, and ended.

Its control plane is real. Its nodes are simulated, or one real node runs the pods.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.support.cluster.programs import cluster_program, helm_program, kubectl_program

_START_SECONDS = 180.0
_WARNING = "Warning: "


class Cluster:
    """One cluster. `nodes` is the number of simulated nodes; a real cluster has one node."""

    def __init__(self, folder: Path, *, real: bool = False, nodes: int = 3) -> None:
        self._program = cluster_program()
        self._kubectl, self._helm = kubectl_program(), helm_program()
        self._folder = folder
        self._kind = ["--real"] if real else ["--nodes", str(nodes)]

    @property
    def kubeconfig(self) -> Path:
        return self._folder / "kubeconfig"

    def up(self) -> None:
        """Start it, and return when its nodes are ready. The test fails if they do not become so."""
        done = self._call("up", str(self._folder), *self._kind, seconds=_START_SECONDS)
        if done.returncode:
            pytest.fail(f"the cluster did not start: {done.stderr or done.stdout}", pytrace=False)

    def down(self) -> None:
        """End it with everything that it started."""
        self._call("down", str(self._folder), seconds=60.0)

    def load(self, images: Sequence[Path]) -> None:
        """Load archives of images into the real node, which pulls none."""
        done = self._call("load", str(self._folder), *map(str, images), seconds=300.0)
        assert not done.returncode, done.stderr

    def run(
        self, *command: str, stdin: str = "", seconds: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the cluster's network, with KUBECONFIG set; its exit code is not checked."""
        return self._call("run", str(self._folder), *command, stdin=stdin, seconds=seconds)

    def start_kubectl(self, *words: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a kubectl that goes on, with its output in a file; the caller ends its process group."""
        return self.start(self._kubectl, *words, log=log)

    def start(self, *command: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a command in the cluster's network that goes on; the caller ends its process group."""
        words = [self._program, "run", str(self._folder), *command]
        with log.open("ab") as output:
            return subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @contextmanager
    def running(self, *command: str, log: Path) -> Iterator[None]:
        """Run a server in the cluster's network while inside."""
        process = self.start(*command, log=log)
        try:
            yield
        finally:
            # The command is a child of the program that runs it there.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)

    def kubectl(self, *words: str, stdin: str = "", seconds: float = 120.0) -> str:
        """What kubectl prints. Raises CommandFailed if it fails or the API server warns."""
        return self._checked(self._kubectl, words, stdin, seconds)

    def helm(self, *words: str, stdin: str = "", seconds: float = 300.0) -> str:
        """What helm prints. Raises CommandFailed if it fails or the API server warns."""
        return self._checked(self._helm, words, stdin, seconds)

    def json(self, *words: str) -> Any:
        """What `kubectl WORDS --output json` prints, read."""
        return json.loads(self.kubectl(*words, "--output", "json"))

    def items(self, kind: str, namespace: str = "", selector: str = "") -> list[dict[str, Any]]:
        """Objects of a kind; without a namespace, of all namespaces."""
        where = ["--namespace", namespace] if namespace else ["--all-namespaces"]
        found: list[dict[str, Any]] = self.json("get", kind, *where, "--selector", selector)[
            "items"
        ]
        return found

    def apply(self, *objects: dict[str, Any], dry_run: bool = False) -> None:
        """Apply objects with strict validation of their fields, and without a warning.

        A dry run goes through the server's admission and stores nothing.
        """
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        words = ["--server-side", "--force-conflicts", "--validate=strict", "--filename", "-"]
        self.kubectl("apply", *words, *(["--dry-run=server"] if dry_run else []), stdin=text)

    def names(self, namespace: str) -> set[str]:
        """Every object of a namespace as kind/name, but for events and the deprecated Endpoints."""
        kinds = self.kubectl(
            "api-resources", "--namespaced", "--verbs=list", "--output=name"
        ).split()
        wanted = ",".join(one for one in kinds if not one.startswith(("events", "endpoints")))
        return set(self.kubectl("get", wanted, "--namespace", namespace, "--output=name").split())

    def _checked(self, program: str, words: Sequence[str], stdin: str, seconds: float) -> str:
        done = self.run(program, *words, stdin=stdin, seconds=seconds)
        if done.returncode or any(is_warning(line) for line in done.stderr.splitlines()):
            raise CommandFailed(Path(program).name, words, done)
        return done.stdout

    def _call(
        self, *words: str, stdin: str = "", seconds: float
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._program, *words], input=stdin, capture_output=True, text=True, timeout=seconds
        )


class CommandFailed(AssertionError):
    """A command ended with an error, or the API server answered it with a warning."""

    def __init__(
        self, program: str, words: Sequence[str], done: subprocess.CompletedProcess[str]
    ) -> None:
        self.stderr = done.stderr
        command = " ".join([program, *words])
        super().__init__(f"{command}\nexit code {done.returncode}\n{done.stderr}{done.stdout}")


def is_warning(line: str) -> bool:
    """Whether a line of kubectl's or helm's output passes on a warning of the API server."""
    return line.startswith(_WARNING) or "level=WARN" in line


@contextmanager
def running_cluster(*, real: bool = False, nodes: int = 3) -> Iterator[Cluster]:
    """A cluster that runs while inside."""
    with TemporaryDirectory(prefix="cluster-", ignore_cleanup_errors=True) as folder:
        cluster = Cluster(Path(folder) / "c", real=real, nodes=nodes)
        try:
            cluster.up()
            yield cluster
        finally:
            cluster.down()
