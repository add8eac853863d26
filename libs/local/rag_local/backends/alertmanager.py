"""A local Alertmanager, which groups, inhibits and routes the alerts of Prometheus."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template
from typing import Any

import httpx

from rag_local.backends.vault_server import write_private
from rag_local.program import free_port, program, responds, run_until_ready
from rag_local.service_processes import ROOT

TEMPLATE = ROOT / "deploy" / "observability" / "alertmanager" / "alertmanager.yml.tmpl"

# Debian names it differently than upstream.
_NAMES = ("alertmanager", "prometheus-alertmanager")
_INSTALL = (
    "`make run OBSERVE=1` installs it on Debian and Ubuntu, "
    "or apt-get install prometheus-alertmanager"
)


@dataclass(frozen=True, slots=True)
class ActiveAlert:
    """An alert in Alertmanager; `state` is active, or suppressed if another one inhibits it."""

    name: str
    labels: Mapping[str, str]
    state: str


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """The URL and the data folder of a running Alertmanager."""

    url: str
    folder: Path

    @property
    def log(self) -> Path:
        """Its log file."""
        return self.folder / "alertmanager.log"

    def alerts(self) -> list[ActiveAlert]:
        """All current alerts. Raises httpx.HTTPError."""
        alerts: list[dict[str, Any]] = self._request("GET").json()
        return [
            ActiveAlert(one["labels"]["alertname"], one["labels"], one["status"]["state"])
            for one in alerts
        ]

    def post(self, *alerts: Mapping[str, str]) -> None:
        """Send alerts with these labels, as Prometheus does. Raises httpx.HTTPError."""
        self._request("POST", [{"labels": dict(labels)} for labels in alerts])

    def _request(self, method: str, body: Any = None) -> httpx.Response:
        with httpx.Client(base_url=self.url, timeout=10.0, trust_env=False) as client:
            return client.request(method, "/api/v2/alerts", json=body).raise_for_status()


@contextmanager
def alertmanager(
    home: Path, *, page: str, ticket: str, template: Path = TEMPLATE, port: int = 0
) -> Iterator[Alertmanager]:
    """Run a single Alertmanager inside the block; its data are below `home`. Raises StartFailed.

    `page` and `ticket` are the webhook URLs of urgent and of other alerts.
    """
    folder = (home / "alertmanager").resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A receiver's URL may contain a token, so the file is private.
    configured = folder / "alertmanager.yml"
    write_private(configured, render(template.read_text("utf-8"), page, ticket))
    address = f"127.0.0.1:{port or free_port()}"
    started = Alertmanager(f"http://{address}", folder)
    command = [
        *(
            program(_NAMES, _INSTALL),
            f"--config.file={configured}",
            f"--storage.path={folder / 'data'}",
        ),
        *("--data.retention=48h", f"--web.listen-address={address}"),
        *("--cluster.listen-address=", "--log.level=warn"),
    ]
    with run_until_ready(command, lambda: responds(f"{started.url}/-/ready"), started.log):
        yield started


def render(template: str, page: str, ticket: str) -> str:
    """The configuration with both URLs filled in."""
    return Template(template).safe_substitute(PAGE_URL=page, TICKET_URL=ticket)


_MAX_BYTES = 2**20
_SECONDS = 5.0


@contextmanager
def receive_alerts(on_alert: Callable[[str], None]) -> Iterator[str]:
    """Receive webhooks inside the block, at the URL that is yielded; pass each alert's line to `on_alert`."""

    class Handler(BaseHTTPRequestHandler):
        timeout = _SECONDS

        def do_POST(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            if not 0 < size <= _MAX_BYTES:
                self.send_error(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE if size else HTTPStatus.BAD_REQUEST
                )
                return
            try:
                alerts = json.loads(self.rfile.read(size))["alerts"]
                lines = [format_alert(alert) for alert in alerts]
            except (ValueError, KeyError, TypeError, AttributeError):
                self.send_error(HTTPStatus.BAD_REQUEST)
                return
            for text in lines:
                on_alert(text)
            self.send_response(HTTPStatus.OK)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing: the alerts are reported above."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="alerts", daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join(_SECONDS)


def format_alert(alert: Mapping[str, Any]) -> str:
    """An alert as one line. Raises KeyError or AttributeError if it is malformed."""
    labels, notes = alert["labels"], alert.get("annotations", {})
    state = "resolved" if alert["status"] == "resolved" else labels.get("severity", "alert")
    name = " ".join(filter(None, [labels["alertname"], labels.get("service", "")]))
    summary = notes.get("summary", "")
    runbook = notes.get("runbook_url", "")
    return f"[{state}] {name}: {summary}" + (f" ({runbook})" if runbook else "")
