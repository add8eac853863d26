"""A bad release as a canary on a real node: found by Prometheus's metrics, and without calls in two minutes."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.cluster.real.test_replicas import SERVICES
from tests.support.cluster.load import reads
from tests.support.cluster.region import NODE, Region
from tests.support.parts import tool
from tests.support.waiting import wait_until

URL = f"http://{NODE}:9090"
TWO_MINUTES = 120.0
CALLS = 'sum(rag_rpc_server_duration_seconds_count{service="gateway",method=~"rag.gateway.*",lane=~"%s"})'
# As shipped, but for the first step, which waits for pods only, and with more of the calls: there are few.
STEPS = [
    {"share": 0, "seconds": 5},
    {"share": 0.8, "seconds": 300, "conclusive": False},
    {"share": 5, "seconds": 600},
]


@pytest.fixture(scope="module")
def prometheus(wide: Region, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Prometheus on the node; the file that names the pods which it scrapes.

    It finds them by the file, as Debian's Prometheus is built without Kubernetes.
    """
    folder = tmp_path_factory.mktemp("prometheus")
    targets = folder / "targets.json"
    targets.write_text("[]")
    job = {
        "job_name": "rag",
        "honor_labels": True,
        "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "2s"}],
    }
    settings = {"global": {"scrape_interval": "2s"}, "scrape_configs": [job]}
    config = folder / "prometheus.yml"
    config.write_text(json.dumps(settings))
    command = (
        tool("prometheus", "make test"), f"--config.file={config}",
        f"--storage.tsdb.path={folder}/data", f"--web.listen-address={NODE}:9090",
    )  # fmt: skip
    with wide.cluster.running(*command, log=folder / "log"):
        yield targets


def name_pods(region: Region, targets: Path) -> None:
    """Write the pods with the labels that the chart's ServiceMonitors give their samples."""
    found = [
        {
            "targets": [f"{pod.address}:{port}"],
            "labels": {"service": service, "pod": pod.name, "lane": lane},
        }
        for service, port in {**SERVICES, "canary": 50076}.items()
        for lane in ("stable", "baseline", "canary")
        for pod in region.pods(service, lane)
    ]
    draft = targets.with_suffix(".draft")
    draft.write_text(json.dumps(found))
    draft.rename(targets)


def query(region: Region, expression: str) -> float:
    """The value of an expression; 0 without a result."""
    words = urlencode({"query": expression})
    done = region.cluster.run("curl", "-fsS", "--max-time", "5", f"{URL}/api/v1/query?{words}")
    result = json.loads(done.stdout)["data"]["result"] if done.returncode == 0 else []
    return float(result[0]["value"][1]) if result else 0.0


def finished(region: Region) -> dict[str, Any]:
    """The conditions of the analysis' Job that are true, by type."""
    selector = "app.kubernetes.io/name=canary"
    [job] = region.cluster.items("jobs", region.namespace, selector)
    conditions = job["status"].get("conditions", [])
    return {one["type"]: one for one in conditions if one["status"] == "True"}


@pytest.mark.long
def test_a_bad_release_gets_no_calls_after_two_minutes_at_most(
    wide: Region, prometheus: Path, tmp_path: Path, record_testsuite_property: Any
) -> None:
    tokens = {"employees": wide.token()}
    # Only answers can be degraded.
    answers = {"rate": 20, "methods": ["Answer"]}
    with reads(wide.cluster, tmp_path / "load", wide.target, tokens, **answers) as load:
        wide.install(
            canary__enabled=True,
            canary__prometheus=URL,
            canary__analysis={"steps": STEPS, "interval": 2, "linger_seconds": 5},
            # The canary gives its generator no time: it quotes the first passage, or has no time left either.
            canary__settings={"gateway": {"generate_timeout": 0.001}},
        )
        began = time.monotonic()
        name_pods(wide, prometheus)
        calls = CALLS % "canary"
        wait_until(lambda: query(wide, calls) > 0, "the canary gets calls", seconds=TWO_MINUTES)
        wait_until(lambda: "Failed" in finished(wide), "it is rolled back", seconds=TWO_MINUTES)
        took = time.monotonic() - began
        touched = query(wide, calls)
        every = query(wide, CALLS % ".+")
        seen = load.answered()
        wait_until(lambda: load.answered() > seen + 100, "calls after it")
        assert query(wide, calls) == pytest.approx(touched, abs=1)
    outcome = load.result
    assert outcome
    record_testsuite_property(
        "bad canary",
        f"rolled back after {took:.0f} s, {touched:.0f} of {every:.0f} calls; {outcome}",
    )
    assert took < TWO_MINUTES
    assert touched < 0.01 * every
    # Only what the canary answered may have failed. But pods that start take both cores: then gateways
    # refuse some searches, with a time to come back.
    failed = [line for line in outcome.failures if "ResourceExhausted" not in line]
    assert len(failed) <= touched, failed
    wide.install(canary__enabled=False)
    wait_until(lambda: not wide.pods("gateway", "canary"), "the lanes are gone")
