"""A chain of real processes that make spans with OpenTelemetry's SDK and send them by OTLP.

`python spans.py SERVICE [SERVICE ...]`: the first serves a call and calls the others, each a process
of its own. SPANS says where to and how: grpc+http://host:port, or http://host:port. FAILING names a
service that fails. TRACEPARENT is the caller's.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as ByGrpc
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as ByHttp
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

METHOD = "rag.{}.v1.Service/Call"


def chain(where: str, *services: str, failing: str = "", parent: str = "") -> str:
    """Run the processes to their end; gives the id of their trace."""
    settings = {"SPANS": where, "FAILING": failing, "TRACEPARENT": parent}
    done = subprocess.run(
        [sys.executable, Path(__file__), *services],
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def main(service: str, others: Sequence[str]) -> None:
    """Serve one call."""
    where = os.environ["SPANS"]
    own = Resource.create(
        {
            "service.name": f"rag-{service}",
            "service.instance.id": f"{service}-{os.getpid()}",
            "process.pid": os.getpid(),
        }
    )
    provider = TracerProvider(resource=own)
    exporter = (
        ByGrpc(endpoint=where.removeprefix("grpc+"), insecure=True)
        if where.startswith("grpc+")
        else ByHttp(f"{where}/v1/traces", compression=Compression.Gzip)
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    carried = TraceContextTextMapPropagator().extract(
        {"traceparent": os.environ.get("TRACEPARENT", "")}
    )
    tracer = provider.get_tracer("chain")
    method = METHOD.format(service)
    with tracer.start_as_current_span(method, carried, kind=SpanKind.SERVER) as span:
        for other in others:
            call(tracer, other)
        answer(span, failed=service == os.environ.get("FAILING"))
    provider.shutdown()
    print(f"{span.get_span_context().trace_id:032x}")  # noqa: T201


def call(tracer: trace.Tracer, service: str) -> None:
    """Call another process."""
    with tracer.start_as_current_span(METHOD.format(service), kind=SpanKind.CLIENT):
        carried: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carried)
        chain(
            os.environ["SPANS"],
            service,
            failing=os.environ.get("FAILING", ""),
            parent=carried["traceparent"],
        )


def answer(span: trace.Span, *, failed: bool) -> None:
    """What becomes of the call."""
    span.add_event("first_token")
    span.set_attribute("rpc.response.status_code", "UNAVAILABLE" if failed else "OK")
    if failed:
        span.set_attribute("error.type", "DEPENDENCY_DOWN")
        span.set_status(StatusCode.ERROR)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
