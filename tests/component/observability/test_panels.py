"""No dead panel: each query of each dashboard shows a number in a run of the real parts."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from math import isnan
from typing import Any

import pytest
import pytest_asyncio

from tests.support.observability.traffic import Traffic, traffic
from tests.support.parts import prepared_models, tool
from tests.unit.observability.test_dashboards import NAMES, RULES, VARIABLE, panels, queries

# Panels that a run of this machine's cannot fill, and why.
EMPTY = {
    ("rag-overview", "State of the canary"): "needs a release",
    ("rag-overview", "Verdicts"): "needs a release",
    ("rag-overview", "Shares of the lanes"): "needs a release",
    ("rag-overview", "Failed calls by lane"): "needs a release",
    ("rag-overview", "Duration by lane, p95"): "needs a release",
    ("rag-stores", "Vault"): "needs Vault",
    ("rag-stores", "Leases of secrets"): "needs Vault",
    ("rag-stores", "Certificates"): "needs TLS between the services",
    ("rag-stores", "Time of an optimise"): "begins at 5,000 chunks",
}
# A rate needs two readings, and a ratio of rates calls between them.
CALM_ROUNDS = 3
SECONDS = 120.0


def named(name: str, title: str) -> dict[str, Any]:
    """The panel of a dashboard with this title."""
    [panel] = [panel for panel in panels(name) if panel["title"] == title]
    return panel


@pytest_asyncio.fixture(scope="module")
async def run(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Traffic]:
    """The platform behind an edge, measured by Prometheus with the platform's own rules."""
    tool("prometheus", "make run OBSERVE=1, or make test")
    tool("envoy", "make run EDGE=1, or make test")
    models = await asyncio.to_thread(prepared_models)
    home = tmp_path_factory.mktemp("observed")
    async with traffic(home, models, sorted(RULES.glob("*.yaml"))) as created:
        yield created


@pytest_asyncio.fixture(scope="module")
async def silent(run: Traffic) -> set[str]:
    """The queries that showed no number at any moment of the run, which ends with an outage."""
    remaining = {q for name in NAMES for panel in panels(name) for q in queries(panel)}
    empty = {q for name, title in EMPTY for q in queries(named(name, title))}
    for _ in range(CALM_ROUNDS):
        remaining -= await shown(run, remaining)
    await run.outage()
    end = time.monotonic() + SECONDS
    while remaining - empty and time.monotonic() < end:
        remaining -= await shown(run, remaining)
    return remaining


async def shown(run: Traffic, queries: set[str]) -> set[str]:
    """Those of the queries that show a number after one more round of calls."""
    await run.round()
    await run.scraped()
    values = {query: await run.query(filled(query)) for query in queries}
    return {query for query, numbers in values.items() if not all(map(isnan, numbers))}


def filled(query: str) -> str:
    """The query as Grafana puts it, with everything chosen and a window of a minute."""
    return VARIABLE.sub(".*", query.replace("$__rate_interval", "1m"))


@pytest.mark.parametrize("name", NAMES)
def test_every_query_shows_something_in_a_real_run(name: str, silent: set[str]) -> None:
    dead = {panel["title"] for panel in panels(name) if silent.intersection(queries(panel))}
    assert sorted(title for title in dead if (name, title) not in EMPTY) == []


@pytest.mark.parametrize(("name", "title"), EMPTY)
def test_a_panel_that_is_excepted_has_nothing_to_show(
    name: str, title: str, silent: set[str]
) -> None:
    assert set(queries(named(name, title))) <= silent


def test_points_lead_to_traces(run: Traffic, silent: set[str]) -> None:
    now = time.time()
    series = run.prometheus.request(
        "query_exemplars", query="rag_rpc_server_duration_seconds_bucket", start=now - 300, end=now
    )
    traces = [exemplar["labels"]["trace_id"] for one in series for exemplar in one["exemplars"]]
    assert traces
    assert all(re.fullmatch("[0-9a-f]{32}", trace) for trace in traces)
