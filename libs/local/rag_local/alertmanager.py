"""An Alertmanager of this machine: it groups, holds back and sends on what Prometheus raises."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import httpx

from rag_local.processes import ROOT, StartFailed, free_port, program
from rag_local.prometheus import serving
from rag_local.vault_server import write_private

TEMPLATE = ROOT / "deploy" / "observability" / "alertmanager" / "alertmanager.yml.tmpl"

_INSTALL = (
    "`bash scripts/setup.sh .venv` brings it on Debian and Ubuntu, "
    "or apt-get install prometheus-alertmanager"
)


@dataclass(frozen=True, slots=True)
class Received:
    """An alert that Alertmanager holds; `state` is active, or suppressed where another one inhibits it."""

    name: str
    labels: Mapping[str, str]
    state: str


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """An Alertmanager that runs, and where."""

    url: str
    folder: Path

    @property
    def log(self) -> Path:
        """What it says of itself."""
        return self.folder / "alertmanager.log"

    def alerts(self) -> list[Received]:
        """Every alert that it holds. Raises httpx.HTTPError."""
        found: list[dict[str, Any]] = self._ask("GET").json()
        return [
            Received(one["labels"]["alertname"], one["labels"], one["status"]["state"])
            for one in found
        ]

    def post(self, *alerts: Mapping[str, str]) -> None:
        """Raise alerts of these labels, as Prometheus does. Raises httpx.HTTPError."""
        self._ask("POST", [{"labels": dict(labels)} for labels in alerts])

    def _ask(self, method: str, body: Any = None) -> httpx.Response:
        with httpx.Client(base_url=self.url, timeout=10.0, trust_env=False) as client:
            return client.request(method, "/api/v2/alerts", json=body).raise_for_status()


@contextmanager
def alertmanager(
    home: Path, *, page: str, ticket: str, template: Path = TEMPLATE, port: int = 0
) -> Iterator[Alertmanager]:
    """An Alertmanager that runs inside, alone; its data stay below `home`. Raises StartFailed.

    `page` and `ticket` are the URLs that get what is urgent, and what is not.
    """
    folder = (home / "alertmanager").resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A receiver's URL may hold a token.
    configured = folder / "alertmanager.yml"
    write_private(configured, render(template.read_text("utf-8"), page, ticket))
    address = f"127.0.0.1:{port or free_port()}"
    started = Alertmanager(f"http://{address}", folder)
    command = [
        *(_program(), f"--config.file={configured}", f"--storage.path={folder / 'data'}"),
        *("--data.retention=48h", f"--web.listen-address={address}"),
        *("--cluster.listen-address=", "--log.level=warn"),
    ]
    with serving(command, f"{started.url}/-/ready", started.log):
        yield started


def render(template: str, page: str, ticket: str) -> str:
    """The configuration with both URLs in their places."""
    return Template(template).safe_substitute(PAGE_URL=page, TICKET_URL=ticket)


def _program() -> str:
    """Debian names it otherwise than its makers."""
    try:
        return program("alertmanager", _INSTALL)
    except StartFailed:
        return program("prometheus-alertmanager", _INSTALL)
