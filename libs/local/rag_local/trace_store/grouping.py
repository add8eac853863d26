"""Groups the spans of an export by trace."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

_TRACE_BYTES, _SPAN_BYTES = 16, 8


@dataclass(frozen=True, slots=True)
class SpanBatch:
    """Spans of one trace, one resource and one scope, as received."""

    trace_id: bytes
    resource: Resource
    scope: ScopeSpans
    spans: Sequence[Span]

    def without(self, known: Mapping[bytes, object]) -> "SpanBatch":
        """The batch without the spans whose ids are known."""
        left = [span for span in self.spans if span.span_id not in known]
        return SpanBatch(self.trace_id, self.resource, self.scope, left)

    def first(self, count: int) -> "SpanBatch":
        """The batch with its first `count` spans."""
        return SpanBatch(self.trace_id, self.resource, self.scope, self.spans[:count])

    def packed(self) -> bytes:
        """The batch as a serialized ResourceSpans message."""
        scope = ScopeSpans(
            scope=self.scope.scope, schema_url=self.scope.schema_url, spans=self.spans
        )
        return ResourceSpans(resource=self.resource, scope_spans=[scope]).SerializeToString()


def span_batches(exported: Iterable[ResourceSpans]) -> Iterator[SpanBatch]:
    """The spans of an export, grouped by trace; spans with malformed ids are left out."""
    for group in exported:
        for scope in group.scope_spans:
            by_trace: dict[bytes, list[Span]] = {}
            for span in scope.spans:
                if len(span.trace_id) == _TRACE_BYTES and len(span.span_id) == _SPAN_BYTES:
                    by_trace.setdefault(span.trace_id, []).append(span)
            for trace_id, spans in by_trace.items():
                yield SpanBatch(trace_id, group.resource, scope, spans)


def count(exported: Iterable[ResourceSpans]) -> int:
    """The number of spans in an export."""
    return sum(len(scope.spans) for group in exported for scope in group.scope_spans)


def attribute_texts(attributes: Iterable[KeyValue]) -> dict[str, str]:
    """The attributes with their values as text; lists and maps become empty."""
    return {item.key: _text(item.value) for item in attributes}


def _text(value: AnyValue) -> str:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return str(value.bool_value).lower()
        case "int_value":
            return str(value.int_value)
        case "double_value":
            return f"{value.double_value:g}"
    return ""
