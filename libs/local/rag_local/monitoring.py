"""Monitoring of the local platform: a trace store, and optionally Prometheus and Alertmanager."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rag_local.program import require_port
from rag_local.service_processes import ROOT, SERVICES
from rag_local.trace_store import trace_store

TRACES_PORTS, PROMETHEUS_PORT, ALERTMANAGER_PORT = (4317, 4318), 9090, 9093
# The port of the edge's metrics.
EDGE_METRICS_PORT = 50070
RULES = ROOT / "deploy/observability/prometheus/rules"

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@dataclass(frozen=True, slots=True)
class TraceEndpoints:
    """Where spans go: settings for the services, `HOST:PORT` for the edge, and the URL of the query API."""

    settings: Mapping[str, str]
    otlp: str = ""
    url: str = ""

    @classmethod
    def of(cls, receiver: str) -> "TraceEndpoints":
        """An OTLP receiver in plaintext at this `HOST:PORT`; of an empty one, none."""
        return cls({_ENDPOINT: f"http://{receiver}"} if receiver else {}, receiver)

    def last(self, name: str) -> str:
        """The id of the newest trace whose root span's name contains `name`; empty if there is none."""
        # Imported when it is needed, after the services have started: it takes 30 ms.
        import httpx

        # The store is on this machine, so proxies are ignored.
        with httpx.Client(base_url=self.url, timeout=5.0, trust_env=False) as client:
            response = client.get("/api/search", params={"limit": 100})
        traces = response.raise_for_status().json()["traces"]
        ids = [one["traceID"] for one in traces if name in one.get("rootTraceName", "")]
        return ids[0] if ids else ""


@dataclass(frozen=True, slots=True)
class Monitoring:
    """The URLs of Prometheus and Alertmanager."""

    prometheus: str
    alertmanager: str


@contextmanager
def run_trace_store() -> Iterator[TraceEndpoints]:
    """Run a trace store inside the block, unless the environment names another OTLP receiver.

    Raises StartFailed if a port is in use.
    """
    if os.environ.get(_ENDPOINT):
        yield TraceEndpoints({})
        return
    for port in TRACES_PORTS:
        require_port(port, f"trace store (or set {_ENDPOINT} to another OTLP receiver)")
    with trace_store(grpc_port=TRACES_PORTS[0], http_port=TRACES_PORTS[1]) as store:
        yield replace(TraceEndpoints.of(store.endpoint.partition("//")[2]), url=store.url)


@contextmanager
def run_monitoring(
    home: Path, *, edge: bool, on_alert: Callable[[str], None]
) -> Iterator[Monitoring]:
    """Run Prometheus with the shipped rules, and Alertmanager; `on_alert` gets a line for each alert.

    Raises StartFailed.
    """
    # Imported when they run: with the clients that they need, they take 0.1 s.
    from rag_local.backends.alertmanager import alertmanager, receive_alerts
    from rag_local.backends.prometheus import prometheus

    targets = {"rag": [f"127.0.0.1:{spec.http_port}" for spec in SERVICES]}
    if edge:
        targets["envoy"] = [f"127.0.0.1:{EDGE_METRICS_PORT}/stats/prometheus"]
    rules = sorted(RULES.glob("*.yaml"))
    with ExitStack() as stack:
        webhook = stack.enter_context(receive_alerts(on_alert))
        alerts = stack.enter_context(
            alertmanager(home, page=webhook, ticket=webhook, port=ALERTMANAGER_PORT)
        )
        metrics = stack.enter_context(
            prometheus(
                home,
                targets=targets,
                rules=rules,
                alertmanager=alerts.url,
                port=PROMETHEUS_PORT,
            )
        )
        yield Monitoring(metrics.url, alerts.url)
