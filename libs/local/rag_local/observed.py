"""What looks on while the platform runs: a store of traces, and where asked for Prometheus with its alarms."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from rag_local.alarms import alarms
from rag_local.alertmanager import alertmanager
from rag_local.processes import ROOT, SERVICES, require_port
from rag_local.prometheus import prometheus
from rag_local.traces import trace_store

TRACES_PORTS, PROMETHEUS_PORT, ALERTMANAGER_PORT = (4317, 4318), 9090, 9093
# Where the edge shows its metrics, beside the services' pages.
EDGE_METRICS_PORT = 50070
RULES = ROOT / "deploy/observability/prometheus/rules"

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@dataclass(frozen=True, slots=True)
class Traced:
    """Where spans go: settings for the services, `HOST:PORT` for the edge, the URL to read them at."""

    settings: Mapping[str, str]
    otlp: str = ""
    url: str = ""

    def last(self, name: str) -> str:
        """The id of the newest trace that begins with a call of that name; empty where there is none."""
        # The store is on this machine, where no proxy leads.
        with httpx.Client(base_url=self.url, timeout=5.0, trust_env=False) as client:
            found = client.get("/api/search", params={"limit": 100})
        traces = found.raise_for_status().json()["traces"]
        ids = [one["traceID"] for one in traces if name in one.get("rootTraceName", "")]
        return ids[0] if ids else ""


@dataclass(frozen=True, slots=True)
class Watched:
    """Where Prometheus and Alertmanager answer."""

    prometheus: str
    alertmanager: str


@contextmanager
def traced() -> Iterator[Traced]:
    """A store of traces that runs inside, unless the environment names another receiver.

    Raises StartFailed where a port is taken.
    """
    if os.environ.get(_ENDPOINT):
        yield Traced({})
        return
    for port in TRACES_PORTS:
        require_port(port, f"store of traces (or set {_ENDPOINT} to a receiver of your own)")
    with trace_store(grpc_port=TRACES_PORTS[0], http_port=TRACES_PORTS[1]) as store:
        yield Traced({_ENDPOINT: store.endpoint}, store.endpoint.partition("//")[2], store.url)


@contextmanager
def watched(home: Path, *, edge: bool, tell: Callable[[str], None]) -> Iterator[Watched]:
    """Prometheus with the shipped rules, and Alertmanager, whose alarms are told. Raises StartFailed."""
    targets = {"rag": [f"127.0.0.1:{spec.http_port}" for spec in SERVICES]}
    if edge:
        targets["envoy"] = [f"127.0.0.1:{EDGE_METRICS_PORT}/stats/prometheus"]
    rules = sorted(RULES.glob("*.yaml"))
    with ExitStack() as stack:
        told = stack.enter_context(alarms(tell))
        raised = stack.enter_context(
            alertmanager(home, page=told, ticket=told, port=ALERTMANAGER_PORT)
        )
        metrics = stack.enter_context(
            prometheus(
                home,
                targets=targets,
                rules=rules,
                alertmanager=raised.url,
                port=PROMETHEUS_PORT,
            )
        )
        yield Watched(metrics.url, raised.url)
