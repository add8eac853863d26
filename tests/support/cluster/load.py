"""k6 as the employees of a region: reads through the edge while a test disturbs the cluster."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rag_edge.render import DESCRIPTORS
from tests.support.cluster.control_plane import Cluster
from tests.support.parts import tool

_SCRIPT = Path(__file__).with_name("reads.js")
_STOP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Calls:
    """The outcome of a load: answered calls, and a line for each one that failed."""

    answered: int
    failures: tuple[str, ...]
    p95: float

    def __str__(self) -> str:
        return f"{self.answered} answered, {len(self.failures)} failed, p95 {self.p95:.0f} ms"


class Load:
    """A running k6; `result` is there once it has ended."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]") -> None:
        self._folder = folder
        self._process = process
        self.result: Calls | None = None

    @property
    def log(self) -> Path:
        return self._folder / "k6.log"

    def answered(self) -> int:
        """The calls answered so far."""
        return self.log.read_text("utf-8").count("ANSWERED ") if self.log.exists() else 0

    def end(self) -> Calls:
        """Let running calls end, and read the outcome."""
        if self._process.poll() is None:
            os.kill(only_child(self._process.pid), signal.SIGINT)
        self._process.wait(_STOP_SECONDS)
        summary = json.loads((self._folder / "summary.json").read_text("utf-8"))["metrics"]
        lines = self.log.read_text("utf-8").splitlines()
        failures = tuple(line for line in lines if "FAILED " in line)
        answered = summary.get("answered", {}).get("values", {}).get("count", 0)
        p95 = summary.get("grpc_req_duration", {}).get("values", {}).get("p(95)", 0.0)
        assert summary.get("failed", {}).get("values", {}).get("count", 0) == len(failures)
        self.result = Calls(int(answered), failures, float(p95))
        return self.result


def only_child(pid: int) -> int:
    """The command itself: the process is the program that runs it in the cluster's network."""
    [child] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


@contextmanager
def reads(
    cluster: Cluster,
    folder: Path,
    target: str,
    tokens: Mapping[str, str],
    rate: int = 6,
    methods: Sequence[str] = ("Search", "Answer"),
) -> Iterator[Load]:
    """Calls of the methods in turn, `rate` a second, over connections that change often.

    `tokens` are by tenant. After the block the load has ended and `result` is set.
    """
    folder.mkdir(parents=True, exist_ok=True)
    inputs = {
        "TARGET": target,
        "TOKENS": json.dumps(list(tokens.values())),
        "DESCRIPTORS": str(DESCRIPTORS),
        "SUMMARY": str(folder / "summary.json"),
        "RATE": str(rate),
        "METHODS": json.dumps(methods),
    }
    words = [word for name, value in inputs.items() for word in ("-e", f"{name}={value}")]
    k6 = tool("k6", "make test")
    command = [k6, "run", "--quiet", "--no-usage-report", "--no-color", *words, str(_SCRIPT)]
    load = Load(folder, cluster.start(*command, log=folder / "k6.log"))
    try:
        yield load
    finally:
        load.end()
