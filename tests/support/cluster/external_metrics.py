"""A server of the external-metrics API, whose values a test sets.

The API server finds it by an APIService and a Service of the type ExternalName.
"""

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.cluster.control_plane import Cluster

_GROUP = "external.metrics.k8s.io"
_VERSION = "v1beta1"
_NAMESPACE, _NAME = "kube-system", "external-metrics"


class ExternalMetrics:
    """Values of metrics by name; `requests` are the metric and the labels that the autoscaler asked for."""

    def __init__(self, folder: Path) -> None:
        self.values: dict[str, float] = {}
        self.requests: set[tuple[str, str]] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.socket = _context(folder).wrap_socket(self._server.socket, server_side=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> dict[str, Any]:
        """The reply to a request: the list of resources, or the values of one metric."""
        url = urlsplit(path)
        parts = url.path.strip("/").split("/")
        if "namespaces" not in parts:
            return _list("APIResourceList", "v1", groupVersion=f"{_GROUP}/{_VERSION}", resources=[])
        name = parts[-1]
        self.requests.add((name, parse_qs(url.query).get("labelSelector", [""])[0]))
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        value = {"metricName": name, "metricLabels": {}, "timestamp": now}
        items = (
            [value | {"value": f"{round(self.values[name] * 1000)}m"}]
            if name in self.values
            else []
        )
        return _list("ExternalMetricValueList", f"{_GROUP}/{_VERSION}", metadata={}, items=items)


@contextmanager
def external_metrics(cluster: Cluster, folder: Path) -> Iterator[ExternalMetrics]:
    """The API, registered with the cluster's API server while inside."""
    metrics = ExternalMetrics(folder)
    metrics.start()
    try:
        cluster.apply(_service(), _api_service(metrics.port))
        name = f"apiservice/{_VERSION}.{_GROUP}"
        cluster.kubectl("wait", "--for=condition=Available", name, "--timeout=30s")
        yield metrics
        cluster.kubectl("delete", name)
    finally:
        metrics.stop()


def _service() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": _NAME, "namespace": _NAMESPACE},
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    }


def _api_service(port: int) -> dict[str, Any]:
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"{_VERSION}.{_GROUP}"},
        "spec": {
            "group": _GROUP,
            "version": _VERSION,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"name": _NAME, "namespace": _NAMESPACE, "port": port},
        },
    }


def _list(kind: str, version: str, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "apiVersion": version, **fields}


def _handler(metrics: ExternalMetrics) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(metrics.answer(self.path)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler


def _context(folder: Path) -> ssl.SSLContext:
    certificate, key = folder / "tls.crt", folder / "tls.key"
    words = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
    command = [*words.split(), "-out", str(certificate), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
