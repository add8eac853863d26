"""A trace in the JSON of Jaeger's query API, `{"data": [...]}`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rag_cli.observe.spans import Attributes, Event, Link, Span, Trace

_ID_DIGITS = 32
# Tags in which Jaeger stores OTLP fields that are not attributes.
_FIELDS = {
    "error",
    "span.kind",
    "otel.status_code",
    "otel.status_description",
    "internal.span.format",
}
_MICROSECOND = 1_000


def read(document: Mapping[str, Any], trace_id: str) -> Trace:
    """The trace in Jaeger's response; without spans if the response has none of it."""
    traces = document["data"] or ()
    spans = [span for data in traces for span in _spans(data) if span.trace_id == trace_id]
    warnings = [str(text) for data in traces for text in data.get("warnings") or ()]
    return Trace(
        trace_id, tuple({span.span_id: span for span in spans}.values()), "; ".join(warnings)
    )


def _spans(data: Mapping[str, Any]) -> Iterator[Span]:
    processes = {
        name: {"service.name": process.get("serviceName", ""), **_tags(process.get("tags"))}
        for name, process in (data.get("processes") or {}).items()
    }
    for span in data.get("spans") or ():
        yield _span(span, processes.get(span.get("processID", ""), {}))


def _span(span: Mapping[str, Any], resource: Attributes) -> Span:
    tags = _tags(span.get("tags"))
    references = span.get("references") or ()
    trace_id = _trace_id(span["traceID"])
    parent = _parent(references, trace_id)
    start = int(span["startTime"]) * _MICROSECOND
    return Span(
        trace_id=trace_id,
        span_id=span["spanID"],
        parent_id=parent["spanID"] if parent else "",
        name=str(span.get("operationName", "")),
        kind=str(tags.get("span.kind", "internal")),
        start=start,
        end=start + int(span.get("duration", 0)) * _MICROSECOND,
        failed=str(tags.get("error")).lower() == "true" or tags.get("otel.status_code") == "ERROR",
        message=str(tags.get("otel.status_description", "")),
        attributes={name: value for name, value in tags.items() if name not in _FIELDS},
        resource=resource,
        events=tuple(map(_event, span.get("logs") or ())),
        links=tuple(
            Link(_trace_id(other["traceID"]), other["spanID"], {})
            for other in references
            if other is not parent
        ),
    )


def _parent(references: Sequence[Mapping[str, Any]], trace_id: str) -> Mapping[str, Any] | None:
    """The first CHILD_OF reference within the trace; all other references are links."""
    own = (other for other in references if _trace_id(other["traceID"]) == trace_id)
    return next((other for other in own if other.get("refType") == "CHILD_OF"), None)


def _event(log: Mapping[str, Any]) -> Event:
    fields = _tags(log.get("fields"))
    name = str(fields.pop("event", fields.pop("message", "")))
    return Event(name, int(log["timestamp"]) * _MICROSECOND, fields)


def _tags(tags: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    return {tag["key"]: tag.get("value") for tag in tags or ()}


def _trace_id(text: str) -> str:
    """The id with the leading zeros that Jaeger may omit."""
    return text.lower().zfill(_ID_DIGITS)
