"""Spans by OTLP over gRPC: OpenTelemetry's exporter with our encoding."""

from collections.abc import Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource

from rag_common.otlp import encoding
from rag_common.otlp.resources import message
from rag_common.tracing import Span


class GrpcSpans(OTLPSpanExporter):
    """Endpoint, headers, certificates, compression and retries are OpenTelemetry's."""

    def __init__(self, who: Resource) -> None:
        super().__init__()
        self._who = message(who)

    def _translate_data(self, data: Sequence[Any]) -> ExportTraceServiceRequest:
        spans: Sequence[Span] = data
        return encoding.request(self._who, spans)
