"""Where the rules are, and what they say."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from tests.support.parts import tool

ROOT = Path(__file__).resolve().parents[3]
DEPLOYED = ROOT / "deploy" / "observability"
RULES = sorted((DEPLOYED / "prometheus" / "rules").glob("*.yaml"))
RUNBOOKS = ROOT / "docs" / "runbooks"
INSTALL = "make run OBSERVE=1, or apt-get install prometheus prometheus-alertmanager"

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


@pytest.fixture(scope="session")
def promtool() -> str:
    """The program that checks Prometheus' files."""
    return tool("promtool", INSTALL)
