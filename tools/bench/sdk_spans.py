"""A service whose spans are exported by OpenTelemetry's own processor and exporter: sdk_spans PACKAGE."""

import runpy
import sys

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from rag_common.observability.otlp import setup

if __name__ == "__main__":
    setup.span_processor = lambda *_: BatchSpanProcessor(OTLPSpanExporter())
    runpy.run_module(sys.argv[1], run_name="__main__")
