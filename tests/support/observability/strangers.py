"""OTLP that is not the platform's: spans, log records and metrics, with a text in every place for one."""

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE

SERVICE = "stranger"
SECOND = 1_000_000_000


@dataclass
class Span:
    """A trace of one span."""

    seconds: float = 0.01
    failed: bool = False
    attributes: Mapping[str, AnyValue] = field(default_factory=dict)
    trace_id: bytes = field(default_factory=lambda: secrets.token_bytes(16))


def text(written: str) -> AnyValue:
    """A text as an attribute's value."""
    return AnyValue(string_value=written)


def harmless() -> dict[str, AnyValue]:
    """Attributes of other types which look like nobody's data."""
    return {
        "rag.tokens": AnyValue(int_value=1795368459123),
        "rag.confidence": AnyValue(double_value=0.9001011234567),
        "rag.stage": AnyValue(array_value=ArrayValue(values=[text("search")])),
    }


def send_spans(endpoint: str, spans: Sequence[Span]) -> None:
    """Export them, in one request."""
    request = traces.ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.append(_pair("service.name", SERVICE))
    scope = group.scope_spans.add()
    end = time.time_ns()
    for one in spans:
        created = scope.spans.add(
            trace_id=one.trace_id,
            span_id=one.trace_id[:8],
            name="work",
            start_time_unix_nano=end - int(one.seconds * SECOND),
            end_time_unix_nano=end,
        )
        created.attributes.extend(_pair(*pair) for pair in one.attributes.items())
        created.status.code = 2 if one.failed else 0
    with _channel(endpoint) as channel:
        trace_service_pb2_grpc.TraceServiceStub(channel).Export(request, timeout=10)  # type: ignore[no-untyped-call]


def send_everywhere(endpoint: str, trace_id: bytes, text: str) -> None:
    """Export a span, log records and a metric which hold the text wherever OTLP has room for one."""
    with _channel(endpoint) as channel:
        spans: Any = trace_service_pb2_grpc.TraceServiceStub(channel)  # type: ignore[no-untyped-call]
        spans.Export(_span(trace_id, text), timeout=10)
        lines: Any = logs_service_pb2_grpc.LogsServiceStub(channel)  # type: ignore[no-untyped-call]
        lines.Export(_lines(text), timeout=10)
        readings: Any = metrics_service_pb2_grpc.MetricsServiceStub(channel)  # type: ignore[no-untyped-call]
        readings.Export(_metric(text), timeout=10)


def forms(text: str) -> Iterator[AnyValue]:
    """The text by itself, in a list, in a map and in a map in a list."""
    alone = AnyValue(string_value=text)
    listed = AnyValue(array_value=ArrayValue(values=[alone]))
    mapped = AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="deep", value=alone)]))
    yield from (alone, listed, mapped)
    yield AnyValue(array_value=ArrayValue(values=[mapped]))


def _span(trace_id: bytes, text: str) -> traces.ExportTraceServiceRequest:
    request = traces.ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend([_pair("service.name", SERVICE), _pair("host.name", text)])
    scope = group.scope_spans.add()
    scope.scope.name = text
    scope.scope.attributes.append(_pair("rag.tenant", text))
    span = scope.spans.add(
        trace_id=trace_id,
        span_id=trace_id[:8],
        name=text,
        trace_state=f"a={text}",
        start_time_unix_nano=time.time_ns(),
        end_time_unix_nano=time.time_ns(),
    )
    allowed = ("rag.tenant", "rag.stage", "rag.mode", "rag.index")
    span.attributes.extend(_pair(*pair) for pair in zip(allowed, forms(text), strict=True))
    span.attributes.append(_pair("not.allowed", text))
    span.status.code, span.status.message = 2, text
    event = span.events.add(name=text, time_unix_nano=time.time_ns())
    event.attributes.extend([_pair("exception.type", text), _pair("exception.message", text)])
    return request


def _lines(text: str) -> logs.ExportLogsServiceRequest:
    request = logs.ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend([_pair("service.name", SERVICE), _pair("host.name", text)])
    scope = group.scope_logs.add()
    scope.scope.name = text
    scope.scope.attributes.append(_pair("place", text))
    for number, form in enumerate(forms(text)):
        record = scope.log_records.add(
            time_unix_nano=time.time_ns() + number,
            body=form,
            severity_text=text,
            event_name=text,
        )
        record.attributes.append(_pair("place", form))
    return request


def _metric(text: str) -> metrics.ExportMetricsServiceRequest:
    request = metrics.ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.extend([_pair("service.name", SERVICE), _pair("host.name", text)])
    scope = group.scope_metrics.add()
    scope.scope.name = text
    scope.scope.attributes.append(_pair("place", text))
    reading = scope.metrics.add(name="stranger_calls", description=text).sum
    reading.is_monotonic = True
    reading.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
    point = reading.data_points.add(as_int=1, time_unix_nano=time.time_ns())
    point.attributes.extend([_pair("place", text), _pair("control", "arrived")])
    return request


def _pair(key: str, value: AnyValue | str) -> KeyValue:
    created = AnyValue(string_value=value) if isinstance(value, str) else value
    return KeyValue(key=key, value=created)


def _channel(endpoint: str) -> grpc.Channel:
    return grpc.insecure_channel(endpoint.removeprefix("http://"))
