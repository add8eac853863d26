"""OTLP over gRPC: traces are stored, logs and metrics are accepted and discarded."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import grpc
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

from rag_local.program import StartFailed
from rag_local.trace_store.memory import Bounds, TraceMemory

_THREADS, _MAX_CALLS = 2, 32
_STOP_SECONDS = 2.0


@contextmanager
def otlp_receiver(store: TraceMemory, bounds: Bounds, port: int) -> Iterator[int]:
    """Receive on loopback inside the block; yield the port. Raises StartFailed if it is in use.

    The server is gRPC's synchronous one, which is independent of event loops in the process.
    """
    pool = ThreadPoolExecutor(_THREADS, "otlp")
    options = [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", bounds.request_bytes),
    ]
    server = grpc.server(pool, options=options, maximum_concurrent_rpcs=_MAX_CALLS)
    server.add_generic_rpc_handlers(
        (
            _handler(traces.ExportTraceServiceRequest, partial(export, store)),
            _handler(logs.ExportLogsServiceRequest, lambda _: logs.ExportLogsServiceResponse()),
            _handler(
                metrics.ExportMetricsServiceRequest,
                lambda _: metrics.ExportMetricsServiceResponse(),
            ),
        )
    )
    try:
        opened = server.add_insecure_port(f"127.0.0.1:{port}")
    except RuntimeError as error:
        pool.shutdown()
        raise StartFailed(f"port {port}, which the trace store needs, is in use") from error
    server.start()
    try:
        yield opened
    finally:
        server.stop(_STOP_SECONDS).wait()
        pool.shutdown()


def export(
    store: TraceMemory, request: traces.ExportTraceServiceRequest
) -> traces.ExportTraceServiceResponse:
    """Store the request's spans; the response has the number of rejected ones."""
    lost = store.add(request.resource_spans)
    response = traces.ExportTraceServiceResponse()
    if lost:
        response.partial_success.rejected_spans = lost
        response.partial_success.error_message = "the local trace store is full"
    return response


def _handler(request: type[Message], respond: Callable[[Any], Message]) -> grpc.GenericRpcHandler:
    """The service in whose file the request is, with its only method."""
    [service] = request.DESCRIPTOR.file.services_by_name.values()
    method: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(
        lambda message, _context: respond(message),
        request_deserializer=request.FromString,
        response_serializer=lambda response: response.SerializeToString(),
    )
    return grpc.method_handlers_generic_handler(service.full_name, {"Export": method})
