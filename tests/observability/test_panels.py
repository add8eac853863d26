"""No dead panel: each query of each dashboard shows a number in a run of the real parts."""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from math import isnan
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from rag_local.prometheus import Prometheus
from tests.observability.test_dashboards import NAMES, ROOT, RULES, VARIABLE, panels, queries
from tests.observability.traffic import Traffic, traffic
from tests.parts import tool

# Panels that a run of this machine's cannot fill, and why.
EMPTY = {
    ("rag-stores", "Vault"): "needs Vault",
    ("rag-stores", "Leases of secrets"): "needs Vault",
    ("rag-stores", "Certificates"): "needs TLS between the services",
    ("rag-stores", "Time of an optimise"): "begins at 5,000 chunks",
}
CALM_ROUNDS = 4
SECONDS = 120.0


def named(name: str, title: str) -> dict[str, Any]:
    """The panel of a dashboard with this title."""
    [found] = [panel for panel in panels(name) if panel["title"] == title]
    return found


@pytest_asyncio.fixture(scope="module")
async def run(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Traffic]:
    """The platform behind an edge, measured by Prometheus with the platform's own rules."""
    tool("prometheus", "bash scripts/setup.sh .venv")
    tool("envoy", "bash scripts/setup.sh .venv")
    models = await asyncio.to_thread(prepared)
    home = tmp_path_factory.mktemp("observed")
    async with traffic(home, models, sorted(RULES.glob("*.yaml"))) as made:
        yield made


def prepared() -> Path:
    """The folder of the model that the embedder runs."""
    folder = Path(os.environ.get("EMBEDDER_MODELS_DIR") or ROOT / ".rag" / "models").resolve()
    environment = {**os.environ, "EMBEDDER_MODELS_DIR": str(folder)}
    subprocess.run([sys.executable, "-m", "rag_embedder.library"], env=environment, check=True)
    return folder


@pytest_asyncio.fixture(scope="module")
async def silent(run: Traffic) -> set[str]:
    """The queries that showed no number at any moment of the run, which ends with an outage."""
    wanted = {q for name in NAMES for panel in panels(name) for q in queries(panel)}
    empty = {q for name, title in EMPTY for q in queries(named(name, title))}
    for _ in range(CALM_ROUNDS):
        wanted -= await shown(run, wanted)
    await run.outage()
    end = time.monotonic() + SECONDS
    while wanted - empty and time.monotonic() < end:
        wanted -= await shown(run, wanted)
    return wanted


async def shown(run: Traffic, asked: set[str]) -> set[str]:
    """Those of the queries that show a number after one more round of calls."""
    await run.round()
    await run.measured()
    return await asyncio.to_thread(numbers, run.prometheus, asked)


def numbers(prometheus: Prometheus, asked: set[str]) -> set[str]:
    """Those of the queries that show a number now."""
    return {
        query
        for query in asked
        if any(not isnan(sample.value) for sample in prometheus.query(filled(query)))
    }


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
    found = run.prometheus.ask(
        "query_exemplars", query="rag_rpc_server_duration_seconds_bucket", start=now - 300, end=now
    )
    traces = [exemplar["labels"]["trace_id"] for one in found for exemplar in one["exemplars"]]
    assert traces
    assert all(re.fullmatch("[0-9a-f]{32}", trace) for trace in traces)
