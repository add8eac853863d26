"""A Prometheus of this machine: it scrapes what it is told, weighs the rules, and answers queries."""

import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from rag_local.processes import StartFailed, free_port, program

_INSTALL = (
    "`bash scripts/setup.sh .venv` brings it on Debian and Ubuntu, or apt-get install prometheus"
)
_RETENTION = ("--storage.tsdb.retention.time=2d", "--storage.tsdb.retention.size=512MB")
_MAX_EXEMPLARS = 20_000
_READY_SECONDS = 30.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of a reply: its labels, `__name__` among them where it has one, and its value."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that is pending or firing, as `state` says, with what its rule says of it."""

    name: str
    labels: Mapping[str, str]
    state: str
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A Prometheus that runs, and where."""

    url: str
    folder: Path

    @property
    def log(self) -> Path:
        """What it says of itself."""
        return self.folder / "prometheus.log"

    def query(self, expr: str) -> list[Sample]:
        """The value now of an expression that gives series, no scalar. Raises httpx.HTTPError."""
        found = self.ask("query", query=expr)["result"]
        return [Sample(one["metric"], float(one["value"][1])) for one in found]

    def alerts(self) -> list[Alert]:
        """Every alert that is pending or firing. Raises httpx.HTTPError."""
        return [
            Alert(one["labels"]["alertname"], one["labels"], one["state"], one["annotations"])
            for one in self.ask("alerts")["alerts"]
        ]

    def ask(self, endpoint: str, **parameters: str | float) -> Any:
        """`data` of a reply of the HTTP API, as of `/api/v1/query_range`. Raises httpx.HTTPError."""
        with httpx.Client(base_url=self.url, timeout=30.0, trust_env=False) as client:
            reply = client.get(f"/api/v1/{endpoint}", params=parameters)
        return reply.raise_for_status().json()["data"]


@contextmanager
def prometheus(
    home: Path,
    *,
    targets: Mapping[str, Sequence[str]],
    rules: Sequence[Path] = (),
    alertmanager: str = "",
    interval: float = 5.0,
    port: int = 0,
) -> Iterator[Prometheus]:
    """A Prometheus that runs inside; what it has measured stays below `home`.

    `targets` has each job's `HOST:PORT`, or `HOST:PORT/PATH` where the page is not `/metrics`.
    `alertmanager` is a URL. Every `interval` seconds it scrapes and weighs the rules. Raises StartFailed.
    """
    folder = (home / "prometheus").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    configured = folder / "prometheus.json"
    configured.write_text(json.dumps(_configuration(targets, rules, alertmanager, interval)))
    address = f"127.0.0.1:{port or free_port()}"
    started = Prometheus(f"http://{address}", folder)
    command = [
        *(program("prometheus", _INSTALL), f"--config.file={configured}", *_RETENTION),
        *(f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}"),
        *("--enable-feature=exemplar-storage", "--log.level=warn"),
    ]
    with serving(command, f"{started.url}/-/ready", started.log):
        yield started


@contextmanager
def serving(command: Sequence[str], ready: str, log: Path) -> Iterator[None]:
    """A program that runs inside, from when it answers 200 at the URL `ready`. Raises StartFailed."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(process, Path(command[0]).name, ready, log)
        yield
    finally:
        _end(process)


def _configuration(
    targets: Mapping[str, Sequence[str]], rules: Sequence[Path], alertmanager: str, interval: float
) -> dict[str, Any]:
    every = f"{round(interval * 1000)}ms"
    return {
        "global": {
            "scrape_interval": every,
            "scrape_timeout": every,
            "evaluation_interval": every,
        },
        "storage": {"exemplars": {"max_exemplars": _MAX_EXEMPLARS}},
        "rule_files": [str(path.resolve()) for path in rules],
        "scrape_configs": [_job(name, pages) for name, pages in targets.items()],
        "alerting": {"alertmanagers": [_addressee(alertmanager)] if alertmanager else []},
    }


def _job(name: str, pages: Sequence[str]) -> dict[str, Any]:
    """OpenMetrics, which has the exemplars, is what Prometheus asks for of its own accord."""
    return {"job_name": name, "static_configs": [_page(page) for page in pages]}


def _page(page: str) -> dict[str, Any]:
    address, _, path = page.partition("/")
    return {"targets": [address], "labels": {"__metrics_path__": f"/{path or 'metrics'}"}}


def _addressee(url: str) -> dict[str, Any]:
    parsed = httpx.URL(url)
    return {"scheme": parsed.scheme, "static_configs": [{"targets": [parsed.netloc.decode()]}]}


def _wait(process: "subprocess.Popen[bytes]", name: str, ready: str, log: Path) -> None:
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise StartFailed(f"{name} ended: {_last_words(log)}")
        try:
            if httpx.get(ready, timeout=1.0, trust_env=False).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass
        time.sleep(_POLL_SECONDS)
    raise StartFailed(f"{name} is not ready within {_READY_SECONDS:.0f} s; its log is {log}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return f"{lines[-1]} (log: {log})" if lines else f"it said nothing (log: {log})"
