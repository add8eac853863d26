"""Prometheus finds what it is to read, keeps exemplars, and others' metrics have the names that rules use."""

import re
from pathlib import Path
from typing import Any

import httpx
import yaml

from rag_common.http.pages import Page, serve_http
from rag_edge.edge_config import EdgeConfig
from rag_local.backends.alertmanager import alertmanager
from rag_local.backends.envoy import edge
from rag_local.backends.prometheus import Prometheus, prometheus
from rag_local.program import free_port, responds, run_until_ready
from tests.support.observability.fixtures import DEPLOYED, FOREIGN, INSTALL, RULES, threaded
from tests.support.parts import tool
from tests.support.waiting import until

CLUSTER = DEPLOYED / "prometheus" / "kubernetes.yml"
PROGRAM = tool("prometheus", INSTALL)

META = "__meta_kubernetes_pod_"
PODS = [
    ("gateway-0", "gateway", "http", "50071", "Running"),
    ("gateway-0", "gateway", "grpc", "50051", "Running"),
    ("retriever-0", "retriever", "http", "50073", "Running"),
    ("generator-0", "generator", "http", "50074", "Failed"),
    ("canary-0", "canary", "http", "50076", "Running"),
    ("envoy-0", "envoy", "metrics", "9902", "Running"),
    ("envoy-0", "envoy", "https", "8443", "Running"),
    ("alertmanager-0", "alertmanager", "web", "9093", "Running"),
]

LANES = {"retriever-0": "baseline"}
TARGETS = {
    ("rag", "127.0.0.1:50071", "gateway", "stable"),
    ("rag", "127.0.0.1:50073", "retriever", "baseline"),
    ("rag", "127.0.0.1:50076", "canary", "stable"),
    ("envoy", "127.0.0.1:9902", None, None),
    ("alertmanager", "127.0.0.1:9093", None, None),
    ("prometheus", "localhost:9090", None, None),
}


def pod(name: str, app: str, port: str, number: str, phase: str, whole: str) -> dict[str, Any]:
    """One container port, with the labels that discovery gives it."""
    return {
        "targets": [f"127.0.0.1:{number}"],
        "labels": {
            f"{META}name": name,
            f"{META}label_app_kubernetes_io_part_of": whole,
            f"{META}label_app_kubernetes_io_name": app,
            f"{META}label_rag_platform_lane": LANES.get(name, "stable"),
            f"{META}container_port_name": port,
            f"{META}container_port_number": number,
            f"{META}phase": phase,
        },
    }


def found_in(pods: list[dict[str, Any]]) -> dict[str, Any]:
    """The cluster's configuration, with these pods in the place of the API server."""
    text = CLUSTER.read_text("utf-8").replace("rules/*.yaml", f"{CLUSTER.parent}/rules/*.yaml")
    configuration: dict[str, Any] = yaml.safe_load(text)
    for job in (*configuration["scrape_configs"], *configuration["alerting"]["alertmanagers"]):
        if job.pop("kubernetes_sd_configs", None):
            job["static_configs"] = pods
    return configuration


async def test_a_cluster_s_pods_are_found_by_their_labels(tmp_path: Path) -> None:
    ours = [pod(*one, "rag-platform") for one in PODS]
    stranger = pod("gateway-9", "gateway", "http", "50999", "Running", "another")
    path, address = tmp_path / "prometheus.yml", f"127.0.0.1:{free_port()}"
    path.write_text(yaml.safe_dump(found_in([*ours, stranger])))
    command = [PROGRAM, f"--config.file={path}", f"--web.listen-address={address}"]
    stored = f"--storage.tsdb.path={tmp_path / 'data'}"
    program = run_until_ready(
        [*command, stored], lambda: responds(f"http://{address}/-/ready"), tmp_path / "log"
    )
    async with threaded(program):
        started = Prometheus(f"http://{address}", tmp_path)
        targets = await until(
            lambda: len(found := labels(started)) >= len(TARGETS) and found, "targets are found"
        )
        alertmanagers = await until(lambda: addressed(started), "the Alertmanager is found")
        used = yaml.safe_load(started.request("status/config")["yaml"])
    assert {
        tuple(result.get(key) for key in ("job", "instance", "service", "lane"))
        for result in targets
    } == TARGETS
    assert alertmanagers == ["http://127.0.0.1:9093/api/v2/alerts"]
    # Alerts get these labels on their way out, whatever their rules keep.
    assert used["global"]["external_labels"]["region"] == "REGION"


def labels(started: Prometheus) -> list[dict[str, str]]:
    return [one["labels"] for one in started.request("targets", state="active")["activeTargets"]]


def addressed(started: Prometheus) -> list[str]:
    return [one["url"] for one in started.request("alertmanagers")["activeAlertmanagers"]]


async def test_exemplars_are_kept_and_a_page_of_another_path_is_read(tmp_path: Path) -> None:
    async def metrics() -> Page:
        text = b'rag_calls_total{service="gateway"} 7 # {trace_id="4bf92f35"} 0.2'
        body = b"# TYPE rag_calls counter\n" + text + b"\n# EOF\n"
        return Page(body, media_type="application/openmetrics-text")

    async def envoy() -> Page:
        return Page(b"envoy_server_live 1\n", media_type="text/plain")

    pages = {"/metrics": metrics, "/stats/prometheus": envoy}
    async with serve_http("127.0.0.1", 0, pages) as port:
        address = f"127.0.0.1:{port}"
        targets = {"rag": [address], "envoy": [f"{address}/stats/prometheus"]}
        async with threaded(prometheus(tmp_path, targets=targets, interval=0.5)) as started:
            [kept] = await until(lambda: exemplars(started), "an exemplar is kept")
            [sample] = started.query("rag_calls_total")
            [up] = await until(lambda: started.query('up{job="envoy"} == 1'), "the page is read")
    assert kept["labels"] == {"trace_id": "4bf92f35"}
    assert (sample.labels["job"], sample.value) == ("rag", 7.0)
    assert up.labels["instance"] == address


def exemplars(started: Prometheus) -> list[dict[str, Any]]:
    result = started.request("query_exemplars", query="rag_calls_total", start=0, end=9e9)
    return [one for series in result for one in series["exemplars"]]


async def test_others_metrics_have_the_names_that_rules_ask_for(tmp_path: Path) -> None:
    tool("envoy", "make run EDGE=1, or make test")
    port, nowhere = free_port(), "http://127.0.0.1:9/"
    async with (
        threaded(edge(tmp_path, EdgeConfig(port=0, metrics_port=port))),
        threaded(prometheus(tmp_path, targets={}, rules=RULES)) as watching,
        threaded(alertmanager(tmp_path, page=nowhere, ticket=nowhere)) as sending,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        envoy = f"http://127.0.0.1:{port}/stats/prometheus"
        pages = [envoy, f"{watching.url}/metrics", f"{sending.url}/metrics"]
        output = "".join([(await client.get(page)).text for page in pages])
    assert {name for name in FOREIGN if re.search(rf"^{name}\{{", output, re.MULTILINE)} == FOREIGN
