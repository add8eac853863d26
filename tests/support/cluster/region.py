"""A region on a real node: the chart installed with images that were built here."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag_cli.dev_tokens import Claims, load_key, sign
from rag_local.dev_secrets import development_secrets
from tests.support.cluster.control_plane import Cluster

# Images are loaded under this name, by which containerd knows those without a registry.
REGISTRY = "docker.io/library"
NODE = "10.99.0.1"
_TOKEN_SECONDS = 7200.0


@dataclass(frozen=True, slots=True)
class Pod:
    """A running pod: its name, address, and number of restarts by container."""

    name: str
    uid: str
    address: str
    ready: bool
    restarts: Mapping[str, int]

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> "Pod":
        status = item["status"]
        conditions = {one["type"]: one["status"] for one in status.get("conditions", [])}
        containers = status.get("containerStatuses", [])
        return cls(
            item["metadata"]["name"],
            item["metadata"]["uid"],
            status.get("podIP", ""),
            conditions.get("Ready") == "True" and "deletionTimestamp" not in item["metadata"],
            {one["name"]: one["restartCount"] for one in containers},
        )


@dataclass
class Region:
    """A Helm release; `values` are the files that every install and upgrade uses."""

    cluster: Cluster
    chart: Path
    home: Path
    values: Sequence[Path]
    namespace: str = "rag"
    release: str = "rag"
    overrides: dict[str, Any] = field(default_factory=dict)

    def create_secrets(self) -> None:
        """Apply the development Secrets, with new certificates each time."""
        self.cluster.apply(*development_secrets(self.home, self.release, self.namespace))

    def install(self, *flags: str, seconds: float = 300.0, **overrides: Any) -> str:
        """Install or upgrade, with `overrides` as further values by dotted path, and wait until it is ready."""
        _merge(self.overrides, _nested(overrides))
        return self._helm(
            "upgrade", "--install", self.release, str(self.chart), *self._values(), *flags, "--wait",
            f"--timeout={seconds:.0f}s", seconds=seconds + 60,
        )  # fmt: skip

    def roll_back(self, seconds: float = 300.0) -> str:
        """Return to the previous revision."""
        return self._helm(
            "rollback", self.release, "--wait", f"--timeout={seconds:.0f}s", seconds=seconds + 60
        )

    def test(self) -> str:
        """Run `helm test`, and return the log of its pod."""
        self._helm("test", self.release, "--timeout=120s", seconds=150)
        return self.logs(f"pod/{self.release}-smoke-test")

    def uninstall(self) -> None:
        self._helm("uninstall", self.release, "--wait", seconds=180)

    def kubectl(self, *words: str, stdin: str = "", seconds: float = 180.0) -> str:
        return self.cluster.kubectl(
            "--namespace", self.namespace, *words, stdin=stdin, seconds=seconds
        )

    def logs(self, *words: str) -> str:
        return self.kubectl("logs", "--tail=-1", *words)

    def pods(self, component: str, lane: str = "stable") -> list[Pod]:
        """The pods of a component that are not ending."""
        selector = (
            f"app.kubernetes.io/instance={self.release},app.kubernetes.io/name={component},"
            f"rag-platform/lane={lane}"
        )
        items = self.cluster.items("pods", self.namespace, selector)
        return [Pod.of(item) for item in items if "deletionTimestamp" not in item["metadata"]]

    @property
    def target(self) -> str:
        """Address and port of the edge's Service."""
        service = self.cluster.json(
            "--namespace", self.namespace, "get", "service", f"{self.release}-edge"
        )
        return f"{service['spec']['clusterIP']}:443"

    def token(self, tenant: str = "employees") -> str:
        key = load_key(self.home / "keys" / "dev.pem")
        return sign(key, Claims(tenant, ttl=_TOKEN_SECONDS), time.time())

    def client(self, *words: str, tenant: str = "employees") -> subprocess.CompletedProcess[str]:
        """The command `rag` on the node, through the edge."""
        variables = {
            "RAG_TARGET": self.target,
            "RAG_TOKEN": self.token(tenant),
            "RAG_CA_FILE": str(self.home / "cluster" / "authority" / "ca.crt"),
            "RAG_SERVER_NAME": "localhost",
        }
        settings = [f"{name}={text}" for name, text in variables.items()]
        return self.cluster.run("env", *settings, "rag", *words)

    def fetch(self, pod: Pod, port: int, path: str) -> str:
        """A page of a pod, read from the node, as the kubelet's probes are."""
        done = self.cluster.run(
            "curl", "-sS", "--max-time", "5", f"http://{pod.address}:{port}{path}"
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kill(self, pod: Pod, container: str) -> None:
        """Kill the first process of a container with SIGKILL."""
        with suppress(ProcessLookupError):
            os.kill(self.process(pod, container), signal.SIGKILL)

    def process(self, pod: Pod, container: str = "") -> int:
        """The first process of a container of the pod, or of its first container."""
        status = self.cluster.json("--namespace", self.namespace, "get", "pod", pod.name)["status"]
        identity = next(
            one["containerID"].rpartition("/")[2]
            for one in status["containerStatuses"]
            if container in ("", one["name"])
        )
        processes = _processes_of(identity)
        assert processes, f"no process of {container} in {pod.name}"
        return min(processes)

    def _values(self) -> list[str]:
        file = self.home / "values.json"
        file.write_text(json.dumps(self.overrides))
        return [f"--values={path}" for path in (*self.values, file)]

    def _helm(self, *words: str, seconds: float) -> str:
        return self.cluster.helm("--namespace", self.namespace, *words, seconds=seconds)


def _processes_of(container: str) -> list[int]:
    """Processes in a container's cgroup, by its identity."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if container in (entry / "cgroup").read_text():
                    found.append(int(entry.name))
    return found


def _nested(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a__b": 1}` as `{"a": {"b": 1}}`, merged."""
    whole: dict[str, Any] = {}
    for path, value in overrides.items():
        *parents, last = path.split("__")
        place = whole
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return whole


def _merge(whole: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add `more` to `whole`, dictionaries within dictionaries."""
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(whole.get(name), dict):
            _merge(whole[name], value)
        else:
            whole[name] = value
