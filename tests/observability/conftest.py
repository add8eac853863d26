"""Where the rules are, what they say, and a receiver of what Alertmanager sends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from aiohttp import web

from tests.parts import tool

ROOT = Path(__file__).resolve().parents[2]
DEPLOYED = ROOT / "deploy" / "observability"
RULES = sorted((DEPLOYED / "prometheus" / "rules").glob("*.yaml"))
RUNBOOKS = ROOT / "docs" / "runbooks"
INSTALL = "bash scripts/setup.sh .venv, or apt-get install prometheus prometheus-alertmanager"

# Metrics of other makers that rules and runbooks ask for.
FOREIGN = {
    "prometheus_rule_evaluation_failures_total",
    "alertmanager_notifications_failed_total",
    "envoy_cluster_membership_healthy",
    "envoy_http_downstream_rq_xx",
    "envoy_server_days_until_first_cert_expiring",
}

T = TypeVar("T")


def rules() -> list[dict[str, Any]]:
    """Every rule, recorded or alerting."""
    files = [yaml.safe_load(path.read_text("utf-8")) for path in RULES]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


ALERTS = [rule for rule in rules() if "alert" in rule]
NAMES = sorted({rule["alert"] for rule in ALERTS})


@asynccontextmanager
async def threaded(context: AbstractContextManager[T]) -> AsyncIterator[T]:
    """A process started and ended in a thread: what it asks meanwhile is on this loop."""
    started = await asyncio.to_thread(context.__enter__)
    try:
        yield started
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


@dataclass
class Pages:
    """What is served and received over HTTP: a page of metrics, and what was sent to each path."""

    port: int = 0
    metrics: str = ""
    openmetrics: bool = False
    received: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def url(self, path: str) -> str:
        """Where something may be sent."""
        return f"http://127.0.0.1:{self.port}/{path}"

    def alerts(self, path: str, status: str) -> list[dict[str, Any]]:
        """The alerts of that status that a path was sent."""
        sent = [alert for body in self.received.get(path, []) for alert in body["alerts"]]
        return [alert for alert in sent if alert["status"] == status]


@pytest.fixture
async def pages() -> AsyncIterator[Pages]:
    """A server that shows `metrics`, and keeps what it is sent."""
    kept = Pages()

    async def metrics(_request: web.Request) -> web.Response:
        kind = "application/openmetrics-text" if kept.openmetrics else "text/plain"
        return web.Response(text=kept.metrics, content_type=kind)

    async def receive(request: web.Request) -> web.Response:
        kept.received.setdefault(request.path.strip("/"), []).append(await request.json())
        return web.Response()

    app = web.Application()
    app.add_routes([web.get("/{path:.+}", metrics), web.post("/{path}", receive)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    kept.port = runner.addresses[0][1]
    yield kept
    await runner.cleanup()


@pytest.fixture(scope="session")
def promtool() -> str:
    """The program that checks Prometheus' files."""
    return tool("promtool", INSTALL)
