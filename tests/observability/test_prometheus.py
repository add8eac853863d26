"""Prometheus finds what it is to read, keeps exemplars, and others' metrics have the names that rules use."""

import re
from pathlib import Path
from typing import Any

import httpx
import yaml

from rag_local.alertmanager import alertmanager
from rag_local.edge import edge
from rag_local.processes import free_port
from rag_local.prometheus import Prometheus, prometheus, serving
from rag_local.values import Values
from tests.observability.conftest import DEPLOYED, FOREIGN, INSTALL, RULES, Pages, threaded
from tests.parts import tool
from tests.waiting import until

CLUSTER = DEPLOYED / "prometheus" / "kubernetes.yml"
PROGRAM = tool("prometheus", INSTALL)

META = "__meta_kubernetes_pod_"
PODS = [
    ("gateway-0", "gateway", "http", "50071", "Running"),
    ("gateway-0", "gateway", "grpc", "50051", "Running"),
    ("retriever-0", "retriever", "http", "50073", "Running"),
    ("generator-0", "generator", "http", "50074", "Failed"),
    ("envoy-0", "envoy", "metrics", "9902", "Running"),
    ("envoy-0", "envoy", "https", "8443", "Running"),
    ("alertmanager-0", "alertmanager", "web", "9093", "Running"),
]


def pod(name: str, app: str, port: str, number: str, phase: str, whole: str) -> dict[str, Any]:
    """One container port, with the labels that discovery gives it."""
    return {
        "targets": [f"127.0.0.1:{number}"],
        "labels": {
            f"{META}name": name,
            f"{META}label_app_kubernetes_io_part_of": whole,
            f"{META}label_app_kubernetes_io_name": app,
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
    ready = f"http://{address}/-/ready"
    async with threaded(serving([*command, stored], ready, tmp_path / "log")):
        started = Prometheus(f"http://{address}", tmp_path)
        targets = await until(lambda: labels(started), "targets are found")
        alertmanagers = await until(lambda: addressed(started), "the Alertmanager is found")
    assert {
        tuple(found.get(key) for key in ("job", "instance", "service")) for found in targets
    } == {
        ("rag", "127.0.0.1:50071", "gateway"),
        ("rag", "127.0.0.1:50073", "retriever"),
        ("envoy", "127.0.0.1:9902", None),
        ("alertmanager", "127.0.0.1:9093", None),
        ("prometheus", "localhost:9090", None),
    }
    assert alertmanagers == ["http://127.0.0.1:9093/api/v2/alerts"]


def labels(started: Prometheus) -> list[dict[str, str]]:
    return [one["labels"] for one in started.ask("targets", state="active")["activeTargets"]]


def addressed(started: Prometheus) -> list[str]:
    return [one["url"] for one in started.ask("alertmanagers")["activeAlertmanagers"]]


async def test_exemplars_are_kept(tmp_path: Path, pages: Pages) -> None:
    pages.openmetrics = True
    pages.metrics = (
        "# TYPE rag_calls counter\n"
        'rag_calls_total{service="gateway"} 7 # {trace_id="4bf92f35"} 0.2\n# EOF\n'
    )
    local = prometheus(tmp_path, targets={"rag": [f"127.0.0.1:{pages.port}"]}, interval=0.5)
    async with threaded(local) as started:
        [kept] = await until(lambda: exemplars(started), "an exemplar is kept")
        [sample] = started.query("rag_calls_total")
    assert kept["labels"] == {"trace_id": "4bf92f35"}
    assert (sample.labels["job"], sample.value) == ("rag", 7.0)


def exemplars(started: Prometheus) -> list[dict[str, Any]]:
    found = started.ask("query_exemplars", query="rag_calls_total", start=0, end=9e9)
    return [one for series in found for one in series["exemplars"]]


async def test_a_page_elsewhere_than_metrics_is_found(tmp_path: Path, pages: Pages) -> None:
    pages.metrics = "envoy_server_live 1\n"
    page = f"127.0.0.1:{pages.port}/stats/prometheus"
    async with threaded(prometheus(tmp_path, targets={"envoy": [page]}, interval=0.5)) as started:
        [up] = await until(lambda: started.query('up{job="envoy"} == 1'), "the page is read")
    assert up.labels["instance"] == f"127.0.0.1:{pages.port}"


async def test_others_metrics_have_the_names_that_rules_ask_for(tmp_path: Path) -> None:
    tool("envoy", "bash scripts/setup.sh .venv")
    port, nowhere = free_port(), "http://127.0.0.1:9/"
    async with (
        threaded(edge(tmp_path, Values(port=0, metrics_port=port))),
        threaded(prometheus(tmp_path, targets={}, rules=RULES)) as watching,
        threaded(alertmanager(tmp_path, page=nowhere, ticket=nowhere)) as sending,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        envoy = f"http://127.0.0.1:{port}/stats/prometheus"
        pages = [envoy, f"{watching.url}/metrics", f"{sending.url}/metrics"]
        said = "".join([(await client.get(page)).text for page in pages])
    assert {name for name in FOREIGN if re.search(rf"^{name}\{{", said, re.MULTILINE)} == FOREIGN
