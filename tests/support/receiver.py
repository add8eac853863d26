"""A receiver of OTLP that keeps what comes: by gRPC, and by HTTP."""

import gzip
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs_pb
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_grpc
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_HTTP = {
    "/v1/traces": (trace_pb.ExportTraceServiceRequest, trace_pb.ExportTraceServiceResponse),
    "/v1/metrics": (
        metrics_pb.ExportMetricsServiceRequest,
        metrics_pb.ExportMetricsServiceResponse,
    ),
    "/v1/logs": (logs_pb.ExportLogsServiceRequest, logs_pb.ExportLogsServiceResponse),
}


class Receiver:
    """What has come, in the order in which it came; `url` is where to send it.

    The next `refusals` requests are refused as by a busy server. `headers` are those of all requests.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self.requests: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.refusals = 0
        self.url = ""

    def accepts(self, headers: dict[str, str]) -> bool:
        """Whether a request with these headers is not refused."""
        with self._lock:
            self.headers.append(headers)
            self.refusals -= 1
            return self.refusals < 0

    def keep(self, request: Any) -> None:
        """Keep a request of any signal."""
        with self._lock:
            self.requests.append(request)

    def spans(self, service: str) -> list[Span]:
        """Spans of one service, in the order in which they ended."""
        return [
            span
            for result in self._resources("resource_spans", service)
            for scope in result.scope_spans
            for span in scope.spans
        ]

    def metrics(self, service: str) -> list[Metric]:
        """Readings of one service."""
        return [
            metric
            for result in self._resources("resource_metrics", service)
            for scope in result.scope_metrics
            for metric in scope.metrics
        ]

    def lines(self, service: str) -> list[LogRecord]:
        """Log records of one service."""
        return [
            record
            for result in self._resources("resource_logs", service)
            for scope in result.scope_logs
            for record in scope.log_records
        ]

    def resource(self, service: str) -> dict[str, Any]:
        """The attributes of the service's resource, as its first spans had them; empty without any."""
        sent = self._resources("resource_spans", service)
        return attributes(sent[0].resource) if sent else {}

    def bytes(self) -> bytes:
        """Everything, as it came."""
        return b"".join(request.SerializeToString() for request in self.requests)

    def _resources(self, field: str, service: str) -> list[Any]:
        with self._lock:
            requests = list(self.requests)
        result = [one for request in requests for one in getattr(request, field, ())]
        return [one for one in result if attributes(one.resource).get("service.name") == service]


def attributes(of: Any) -> dict[str, Any]:
    """Attributes by name."""
    return {pair.key: _value(pair.value) for pair in of.attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(_value(one) for one in value.array_value.values)
    return getattr(value, kind) if kind else None


@contextmanager
def by_grpc(folder: Path | None = None) -> Iterator[Receiver]:
    """A receiver on gRPC; mutual TLS with the files of the folder, if there is one."""
    receiver = Receiver()
    server = grpc.server(ThreadPoolExecutor(4))
    trace_grpc.add_TraceServiceServicer_to_server(
        _Keeping(receiver, trace_pb.ExportTraceServiceResponse), server
    )
    metrics_grpc.add_MetricsServiceServicer_to_server(
        _Keeping(receiver, metrics_pb.ExportMetricsServiceResponse), server
    )
    logs_grpc.add_LogsServiceServicer_to_server(
        _Keeping(receiver, logs_pb.ExportLogsServiceResponse), server
    )
    if folder:
        key, chain, roots = ((folder / f).read_bytes() for f in ("tls.key", "tls.crt", "ca.crt"))
        credentials = grpc.ssl_server_credentials([(key, chain)], roots, True)
        receiver.url = f"https://127.0.0.1:{server.add_secure_port('127.0.0.1:0', credentials)}"
    else:
        receiver.url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield receiver
    finally:
        server.stop(None).wait()


class _Keeping:
    """Any of the three services."""

    def __init__(self, receiver: Receiver, reply: type) -> None:
        self._receiver = receiver
        self._reply = reply

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:
        if not self._receiver.accepts({k: str(v) for k, v in context.invocation_metadata()}):
            context.abort(grpc.StatusCode.UNAVAILABLE, "later")
        self._receiver.keep(request)
        return self._reply()


@contextmanager
def by_http(folder: Path | None = None) -> Iterator[Receiver]:
    """A receiver on HTTP, of protobuf; mutual TLS with the files of the folder, if there is one."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            request, reply = _HTTP[self.path]
            accepted = receiver.accepts({k.lower(): v for k, v in self.headers.items()})
            if accepted:
                receiver.keep(request.FromString(body))
            self.send_response(200 if accepted else 503)
            self.send_header("content-type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(reply().SerializeToString())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if folder:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        context.load_verify_locations(folder / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    receiver.url = f"{'https' if folder else 'http'}://127.0.0.1:{server.server_port}"
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
