"""OTLP by gRPC: traces are kept, logs and metrics are taken and let go."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc

from rag_local.processes import StartFailed
from rag_local.traces.bounds import Bounds
from rag_local.traces.kept import Traces

_THREADS, _MOST_CALLS = 2, 32
_STOP_SECONDS = 2.0


@contextmanager
def receiving(kept: Traces, bounds: Bounds, port: int) -> Iterator[int]:
    """Receive on loopback inside the block; gives the port. Raises StartFailed where it is taken.

    The server is gRPC's synchronous one, which shares a process with any loop there is.
    """
    pool = ThreadPoolExecutor(_THREADS, "otlp")
    options = [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", bounds.request_bytes),
    ]
    server = grpc.server(pool, options=options, maximum_concurrent_rpcs=_MOST_CALLS)
    _add(kept, server)
    try:
        opened = server.add_insecure_port(f"127.0.0.1:{port}")
    except RuntimeError as error:
        pool.shutdown()
        raise StartFailed(f"port {port}, which the trace store needs, is taken") from error
    server.start()
    try:
        yield opened
    finally:
        server.stop(_STOP_SECONDS).wait()
        pool.shutdown()


def taken(
    kept: Traces, request: traces.ExportTraceServiceRequest
) -> traces.ExportTraceServiceResponse:
    """Keep the request's spans; the response says how many found no room."""
    lost = kept.take(request.resource_spans)
    response = traces.ExportTraceServiceResponse()
    if lost:
        response.partial_success.rejected_spans = lost
        response.partial_success.error_message = "the local trace store has no room for them"
    return response


def _add(kept: Traces, server: grpc.Server) -> None:
    every: list[tuple[Any, object]] = [
        (trace_service_pb2_grpc.add_TraceServiceServicer_to_server, _Spans(kept)),
        (logs_service_pb2_grpc.add_LogsServiceServicer_to_server, _Logs()),
        (metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server, _Measures()),
    ]
    for add, servicer in every:
        add(servicer, server)


class _Spans(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, kept: Traces) -> None:
        self._kept = kept

    def Export(
        self, request: traces.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> object:
        return taken(self._kept, request)


class _Logs(logs_service_pb2_grpc.LogsServiceServicer):
    def Export(
        self, request: logs.ExportLogsServiceRequest, context: grpc.ServicerContext
    ) -> object:
        return logs.ExportLogsServiceResponse()


class _Measures(metrics_service_pb2_grpc.MetricsServiceServicer):
    def Export(
        self, request: metrics.ExportMetricsServiceRequest, context: grpc.ServicerContext
    ) -> object:
        return metrics.ExportMetricsServiceResponse()
