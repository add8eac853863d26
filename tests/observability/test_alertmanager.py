"""An alert of ours reaches who is to know it: Prometheus, Alertmanager and the receiver are real."""

import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from rag_local.alertmanager import TEMPLATE, Alertmanager, alertmanager, render
from rag_local.prometheus import prometheus
from tests.observability.conftest import DEPLOYED, INSTALL, NAMES, Pages, threaded
from tests.parts import tool
from tests.waiting import until

tool("prometheus", INSTALL)
tool("alertmanager", INSTALL)

WAITS = {"group_wait": "1s", "group_interval": "1s"}
MISMATCH = DEPLOYED / "prometheus" / "rules" / "index.yaml"


def hasty(folder: Path, *, for_: str = "1s") -> tuple[Path, Path]:
    """Our template and our rules of the index, with nothing changed but how long they wait."""
    routes = yaml.safe_load(TEMPLATE.read_text("utf-8"))
    for route in (routes["route"], *routes["route"]["routes"]):
        route.update(WAITS)
    rules = yaml.safe_load(MISMATCH.read_text("utf-8"))
    for rule in rules["groups"][0]["rules"]:
        rule["for"] = for_
    written = folder / "alertmanager.yml.tmpl", folder / "index.yaml"
    for path, content in zip(written, (routes, rules), strict=True):
        path.write_text(yaml.safe_dump(content), "utf-8")
    return written


def says(fits: int) -> str:
    """A gateway's page of metrics."""
    return f'# TYPE rag_index_fits gauge\nrag_index_fits{{service="gateway"}} {fits}\n'


async def test_an_alert_reaches_the_webhook_and_so_does_its_end(
    tmp_path: Path, pages: Pages
) -> None:
    template, rules = hasty(tmp_path)
    page, ticket = pages.url("page"), pages.url("ticket")
    pages.metrics = says(0)
    targets = {"rag": [f"127.0.0.1:{pages.port}"]}
    async with (
        threaded(alertmanager(tmp_path, page=page, ticket=ticket, template=template)) as sends,
        threaded(
            prometheus(
                tmp_path, targets=targets, rules=[rules], alertmanager=sends.url, interval=0.5
            )
        ),
    ):
        [fired, *_] = await until(lambda: pages.alerts("page", "firing"), "the alert arrives")
        pages.metrics = says(1)
        [ended, *_] = await until(lambda: pages.alerts("page", "resolved"), "its end arrives")
    assert fired["labels"] == ended["labels"]
    assert fired["labels"]["alertname"] == "RagIndexMismatch"
    assert (fired["labels"]["service"], fired["labels"]["severity"]) == ("gateway", "page")
    assert fired["annotations"]["runbook_url"] == "docs/runbooks/RagIndexMismatch.md"
    assert pages.received.get("ticket", []) == []


@asynccontextmanager
async def told(
    tmp_path: Path, pages: Pages, *alerts: dict[str, str]
) -> AsyncIterator[Alertmanager]:
    """Our Alertmanager, which has been sent these alerts."""
    template, _ = hasty(tmp_path)
    page, ticket = pages.url("page"), pages.url("ticket")
    async with threaded(
        alertmanager(tmp_path, page=page, ticket=ticket, template=template)
    ) as started:
        started.post(*alerts)
        yield started


def alert(name: str, service: str, severity: str = "ticket", **more: str) -> dict[str, str]:
    return {"alertname": name, "service": service, "severity": severity, **more}


def suppressed(started: Alertmanager, names: Sequence[str]) -> bool:
    """Whether those, and no others, are held back."""
    held = [one.name for one in started.alerts() if one.state == "suppressed"]
    return sorted(held) == sorted(names)


async def test_a_ticket_wakes_nobody(tmp_path: Path, pages: Pages) -> None:
    async with told(tmp_path, pages, alert("RagBackupOld", "retriever")):
        await until(lambda: pages.alerts("ticket", "firing"), "the ticket arrives")
    assert "page" not in pages.received


async def test_one_message_tells_of_all_instances_of_a_service(
    tmp_path: Path, pages: Pages
) -> None:
    both = [alert("RagCheckFailing", "gateway", instance=name) for name in ("a", "b")]
    async with told(tmp_path, pages, *both):
        await until(lambda: pages.received.get("ticket"), "the ticket arrives")
    assert [len(body["alerts"]) for body in pages.received["ticket"]] == [2]


async def test_a_service_that_is_down_silences_its_other_alerts(
    tmp_path: Path, pages: Pages
) -> None:
    down = alert("RagServiceDown", "gateway", "page")
    follow = [
        alert("RagCheckFailing", "gateway", check="embedder"),
        alert("RagSearchLatencyBudgetBurn", "gateway", "page"),
        alert("RagEdgeNoHealthyUpstream", "edge", "page"),
    ]
    other = alert("RagEmbeddingQueueFull", "embedder", "page")
    async with told(tmp_path, pages, down, *follow, other) as started:
        names = [one["alertname"] for one in follow]
        await until(lambda: suppressed(started, names), "what follows is held back")
        await until(lambda: len(pages.alerts("page", "firing")) == 2, "the others arrive")
    arrived = {one["labels"]["alertname"] for one in pages.alerts("page", "firing")}
    assert arrived == {"RagServiceDown", "RagEmbeddingQueueFull"}


async def test_a_peer_that_is_down_silences_who_misses_it(tmp_path: Path, pages: Pages) -> None:
    down = alert("RagServiceDown", "embedder", "page")
    follow = [
        alert("RagCheckFailing", "gateway", check="embedder"),
        alert("RagPeerFailing", "gateway", peer="embedder"),
        alert("RagServiceNotReady", "gateway", "page"),
        alert("RagAvailabilityBudgetBurn", "gateway", "page"),
    ]
    other = alert("RagCheckFailing", "gateway", check="keys")
    async with told(tmp_path, pages, down, *follow, other) as started:
        names = [one["alertname"] for one in follow]
        await until(lambda: suppressed(started, names), "what follows is held back")
        [kept] = await until(lambda: pages.alerts("ticket", "firing"), "the other check arrives")
    assert kept["labels"]["check"] == "keys"


async def test_a_cause_silences_the_checks_that_name_it(tmp_path: Path, pages: Pages) -> None:
    causes = [alert("RagSecretsDown", "gateway", "page"), alert("RagQuotaStoreDown", "gateway")]
    follow = [
        alert("RagDegraded", "gateway", check="secrets"),
        alert("RagDegraded", "gateway", check="limits"),
        alert("RagDependencyFailing", "gateway", system="redis"),
    ]
    async with told(tmp_path, pages, *causes, *follow) as started:
        names = [one["alertname"] for one in follow]
        await until(lambda: suppressed(started, names), "what follows is held back")


def test_amtool_takes_the_configuration(tmp_path: Path) -> None:
    amtool = tool("amtool", INSTALL)
    path = tmp_path / "alertmanager.yml"
    path.write_text(
        render(TEMPLATE.read_text("utf-8"), "https://page.example", "https://t.example")
    )
    done = subprocess.run([amtool, "check-config", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_is_silenced_and_what_silences_are_alerts_that_there_are() -> None:
    rules: list[dict[str, Any]] = yaml.safe_load(TEMPLATE.read_text("utf-8"))["inhibit_rules"]
    matchers = [one for rule in rules for side in rule.values() for one in side]
    named = [one.partition("=")[2].strip('~"') for one in matchers if one.startswith("alertname")]
    plain = {name for group in named for name in group.split("|") if name.isalnum()}
    assert plain - set(NAMES) == set()
