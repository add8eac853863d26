"""Spans by OTLP over HTTP: OpenTelemetry's exporter with our encoding."""

from collections.abc import Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SpanExportResult

from rag_common.otlp import encoding
from rag_common.otlp.resources import message


class HttpSpans(OTLPSpanExporter):
    """Endpoint, headers, certificates, compression and retries are OpenTelemetry's."""

    def __init__(self, who: Resource) -> None:
        super().__init__()
        self._who = message(who)

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        """Send our spans."""
        body = encoding.request(self._who, spans).SerializeToString()
        sent = self._client.export(body).success
        return SpanExportResult.SUCCESS if sent else SpanExportResult.FAILURE
