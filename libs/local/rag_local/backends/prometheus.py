"""A local Prometheus, which scrapes the targets, evaluates the rules, and answers queries."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from rag_local.program import free_port, program, responds, run_until_ready

_INSTALL = "`make run OBSERVE=1` installs it on Debian and Ubuntu, or apt-get install prometheus"
_RETENTION = ("--storage.tsdb.retention.time=2d", "--storage.tsdb.retention.size=512MB")
_MAX_EXEMPLARS = 20_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of a query result: its labels, including `__name__` if it has one, and its value."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Alert:
    """A pending or firing alert (`state`), with the annotations of its rule."""

    name: str
    labels: Mapping[str, str]
    state: str
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Prometheus:
    """The URL and the data folder of a running Prometheus."""

    url: str
    folder: Path

    @property
    def log(self) -> Path:
        """Its log file."""
        return self.folder / "prometheus.log"

    def query(self, expr: str) -> list[Sample]:
        """The current value of an expression that returns series, not a scalar. Raises httpx.HTTPError."""
        result = self.request("query", query=expr)["result"]
        return [Sample(one["metric"], float(one["value"][1])) for one in result]

    def alerts(self) -> list[Alert]:
        """All pending and firing alerts. Raises httpx.HTTPError."""
        return [
            Alert(one["labels"]["alertname"], one["labels"], one["state"], one["annotations"])
            for one in self.request("alerts")["alerts"]
        ]

    def request(self, endpoint: str, **parameters: str | float) -> Any:
        """The `data` of the HTTP API's response, such as of `query_range`. Raises httpx.HTTPError."""
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
    """Run a Prometheus inside the block; its data are stored below `home`.

    `targets` has each job's `HOST:PORT`, or `HOST:PORT/PATH` if the path is not `/metrics`.
    `alertmanager` is a URL, empty for none. Every `interval` seconds it scrapes and evaluates the rules.
    Raises StartFailed.
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
    with run_until_ready(command, lambda: responds(f"{started.url}/-/ready"), started.log):
        yield started


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
        "alerting": {"alertmanagers": [_alertmanager(alertmanager)] if alertmanager else []},
    }


def _job(name: str, pages: Sequence[str]) -> dict[str, Any]:
    """A scrape job. By default Prometheus requests OpenMetrics, which includes the exemplars."""
    return {"job_name": name, "static_configs": [_page(page) for page in pages]}


def _page(page: str) -> dict[str, Any]:
    address, _, path = page.partition("/")
    return {"targets": [address], "labels": {"__metrics_path__": f"/{path or 'metrics'}"}}


def _alertmanager(url: str) -> dict[str, Any]:
    parsed = httpx.URL(url)
    return {"scheme": parsed.scheme, "static_configs": [{"targets": [parsed.netloc.decode()]}]}
