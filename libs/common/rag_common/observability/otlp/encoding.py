"""The SDK's spans as OTLP's messages, at less than half of what OpenTelemetry's own encoder costs.

No message or stack trace of an exception is sent: instrumentation libraries record both, and either may
hold what a caller wrote.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
)
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2 as pb
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import INVALID_SPAN_CONTEXT, Link, SpanKind, StatusCode

from rag_common.observability.tracing import SCOPE

log = structlog.get_logger()

_KINDS = {kind: pb.Span.SpanKind.Value(f"SPAN_KIND_{kind.name}") for kind in SpanKind}
_EXCEPTION_TEXTS = frozenset({"exception.message", "exception.stacktrace"})
# Most attributes have few values: methods, codes, names of systems.
_CACHED = 4096


def encode(resource: Resource, spans: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
    """One request with spans of one resource; a span that cannot be encoded is left out and logged."""
    scopes = [
        pb.ScopeSpans(
            scope=InstrumentationScope(name=name),
            spans=filter(None, [_encoded(span, own=name == SCOPE) for span in group]),
        )
        for name, group in groupby(sorted(spans, key=_scope), key=_scope)
    ]
    described = resource_pb2.Resource(attributes=_attributes(resource.attributes))
    return ExportTraceServiceRequest(
        resource_spans=[pb.ResourceSpans(resource=described, scope_spans=scopes)]
    )


def _scope(span: ReadableSpan) -> str:
    return span.instrumentation_scope.name if span.instrumentation_scope else ""


def _encoded(span: ReadableSpan, *, own: bool) -> pb.Span | None:
    try:
        return _span(span, own=own)
    except (TypeError, ValueError) as error:
        log.warning("invalid_span", span=str(span.name), error=type(error).__name__)
        return None


def _span(span: ReadableSpan, *, own: bool) -> pb.Span:
    position = span.get_span_context() or INVALID_SPAN_CONTEXT
    start, end = span.start_time or 0, span.end_time or 0
    message = pb.Span(
        trace_id=position.trace_id.to_bytes(16, "big"),
        span_id=position.span_id.to_bytes(8, "big"),
        trace_state=position.trace_state.to_header() if position.trace_state else "",
        parent_span_id=span.parent.span_id.to_bytes(8, "big") if span.parent else b"",
        name=span.name,
        kind=_KINDS[span.kind],
        start_time_unix_nano=start,
        end_time_unix_nano=max(start, end),
        attributes=_attributes(span.attributes),
    )
    if events := span.events:
        message.events.extend(map(_event, events))
    if links := span.links:
        message.links.extend(map(_link, links))
    if span.status.status_code is StatusCode.ERROR:
        message.status.code = pb.Status.STATUS_CODE_ERROR
        text = span.status.description or ""
        # Others' begins with the error's type; what follows is its text.
        message.status.message = text if own else text.partition(":")[0]
    return message


def _event(event: Event) -> pb.Span.Event:
    kept = {k: v for k, v in (event.attributes or {}).items() if k not in _EXCEPTION_TEXTS}
    return pb.Span.Event(
        name=event.name, time_unix_nano=event.timestamp, attributes=_attributes(kept)
    )


def _link(link: Link) -> pb.Span.Link:
    """Without the caller's tracestate: the collector's redaction does not reach links."""
    to = link.context
    return pb.Span.Link(
        trace_id=to.trace_id.to_bytes(16, "big"),
        span_id=to.span_id.to_bytes(8, "big"),
        attributes=_attributes(link.attributes),
    )


def _attributes(attributes: Mapping[str, Any] | None) -> list[KeyValue]:
    return [_pair(name, value, type(value).__name__) for name, value in (attributes or {}).items()]


@lru_cache(_CACHED)
def _pair(name: str, value: Any, _type: str) -> KeyValue:
    """The type is part of the key: 1, 1.0 and True are equal, and are not the same attribute."""
    return KeyValue(key=name, value=_value(value))


def _value(value: Any) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case tuple():
            return AnyValue(array_value=ArrayValue(values=map(_value, value)))
    # Whatever else it is, the span must not be lost with it.
    return AnyValue(string_value=str(value).encode("utf-8", "replace").decode())
