"""An alert of ours reaches its receiver: Prometheus, Alertmanager and the receiver are real."""

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag_common.http.pages import Page, serve_http
from rag_local.backends.alertmanager import TEMPLATE, Alertmanager, alertmanager, render
from rag_local.backends.prometheus import prometheus
from tests.support.observability.fixtures import INSTALL, NAMES, threaded
from tests.support.observability.haste import written
from tests.support.observability.webhook import Webhook, webhook
from tests.support.parts import tool
from tests.support.waiting import until

tool("prometheus", INSTALL)
tool("alertmanager", INSTALL)

# All waits of the rules and routes are divided by it.
FACTOR = 30


async def test_an_alert_reaches_the_webhook_and_so_does_its_end(tmp_path: Path) -> None:
    copies, template = written(tmp_path / "hastened", FACTOR)
    rules = [path for path in copies if path.name == "index.yaml"]
    fits = 0

    async def metrics() -> Page:
        text = f'# TYPE rag_index_fits gauge\nrag_index_fits{{service="gateway"}} {fits}\n'
        return Page(text.encode(), media_type="text/plain")

    async with serve_http("127.0.0.1", 0, {"/metrics": metrics}) as port, webhook() as hook:
        page, ticket = f"{hook.url}/page", f"{hook.url}/ticket"
        targets = {"rag": [f"127.0.0.1:{port}"]}
        async with (
            threaded(alertmanager(tmp_path, page=page, ticket=ticket, template=template)) as sends,
            threaded(
                prometheus(
                    tmp_path, targets=targets, rules=rules, alertmanager=sends.url, interval=0.5
                )
            ),
        ):
            mismatch = {"alertname": "RagIndexMismatch", "service": "gateway", "severity": "page"}
            fired = await until(lambda: hook.find("firing", 0, mismatch), "the alert arrives")
            fits = 1
            ended = await until(lambda: hook.find("resolved", 0, mismatch), "its end arrives")
    assert fired is not None
    assert ended is not None
    assert (fired.path, ended.path) == ("/page", "/page")
    assert fired.labels == ended.labels
    assert fired.annotations["runbook_url"] == "docs/runbooks/RagIndexMismatch.md"


@asynccontextmanager
async def sent(
    tmp_path: Path, *alerts: dict[str, str]
) -> AsyncIterator[tuple[Alertmanager, Webhook]]:
    """Our Alertmanager, which has been sent these alerts, and its receiver."""
    _, template = written(tmp_path / "hastened", FACTOR)
    async with webhook() as hook:
        page, ticket = f"{hook.url}/page", f"{hook.url}/ticket"
        async with threaded(
            alertmanager(tmp_path, page=page, ticket=ticket, template=template)
        ) as started:
            started.post(*alerts)
            yield started, hook


def alert(name: str, service: str, severity: str = "ticket", **more: str) -> dict[str, str]:
    return {"alertname": name, "service": service, "severity": severity, **more}


async def test_one_ticket_lists_all_instances_of_a_service_and_pages_nobody(tmp_path: Path) -> None:
    both = [alert("RagCheckFailing", "gateway", instance=name) for name in ("a", "b")]
    async with sent(tmp_path, *both) as (_, hook):
        await until(lambda: hook.told, "the ticket arrives")
    assert [reported.path for reported in hook.told] == ["/ticket", "/ticket"]
    assert len({reported.moment for reported in hook.told}) == 1, "both are in one message"


INHIBITED = {
    "other alerts of a service that is down": (
        [alert("RagServiceDown", "gateway", "page")],
        [
            alert("RagCheckFailing", "gateway", check="embedder"),
            alert("RagSearchLatencyBudgetBurn", "gateway", "page"),
            alert("RagEdgeNoHealthyUpstream", "edge", "page"),
        ],
        alert("RagEmbeddingQueueFull", "embedder", "page"),
    ),
    "callers of a service that is down": (
        [alert("RagServiceDown", "embedder", "page")],
        [
            alert("RagCheckFailing", "gateway", check="embedder"),
            alert("RagPeerFailing", "gateway", peer="embedder"),
            alert("RagServiceNotReady", "gateway", "page"),
            alert("RagAvailabilityBudgetBurn", "gateway", "page"),
        ],
        alert("RagCheckFailing", "gateway", check="keys"),
    ),
    "alerts of the same region": (
        [alert("RagServiceDown", "embedder", "page", region="near")],
        [
            alert("RagCheckFailing", "embedder", region="near"),
            alert("RagPeerFailing", "gateway", peer="embedder", region="near"),
        ],
        alert("RagPeerFailing", "gateway", peer="embedder", region="far"),
    ),
    "checks of a cause that is known": (
        [alert("RagSecretsDown", "gateway", "page"), alert("RagQuotaStoreDown", "gateway")],
        [
            alert("RagDegraded", "gateway", check="secrets"),
            alert("RagDegraded", "gateway", check="limits"),
            alert("RagDependencyFailing", "gateway", system="redis"),
        ],
        alert("RagDegraded", "gateway", check="keys"),
    ),
}


@pytest.mark.parametrize(("causes", "consequences", "other"), INHIBITED.values(), ids=INHIBITED)
async def test_consequences_of_another_alert_are_inhibited(
    tmp_path: Path,
    causes: list[dict[str, str]],
    consequences: list[dict[str, str]],
    other: dict[str, str],
) -> None:
    async with sent(tmp_path, *causes, *consequences, other) as (started, hook):

        def inhibited() -> bool:
            held = [one.labels for one in started.alerts() if one.state == "suppressed"]
            return len(held) == len(consequences) and all(one in held for one in consequences)

        await until(inhibited, "the consequences are inhibited, and no others")
        await until(lambda: len(hook.told) > len(causes), "the others arrive")
    arrived = [reported.labels for reported in hook.told]
    assert len(arrived) == len(causes) + 1
    assert all(one in arrived for one in (*causes, other))


def test_amtool_accepts_the_configuration(tmp_path: Path) -> None:
    amtool = tool("amtool", INSTALL)
    path = tmp_path / "alertmanager.yml"
    path.write_text(
        render(TEMPLATE.read_text("utf-8"), "https://page.example", "https://t.example")
    )
    done = subprocess.run([amtool, "check-config", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_inhibition_rules_name_alerts_that_exist() -> None:
    rules: list[dict[str, Any]] = yaml.safe_load(TEMPLATE.read_text("utf-8"))["inhibit_rules"]
    matchers = [one for rule in rules for side in rule.values() for one in side]
    named = [one.partition("=")[2].strip('~"') for one in matchers if one.startswith("alertname")]
    plain = {name for group in named for name in group.split("|") if name.isalnum()}
    assert plain - set(NAMES) == set()
