"""A trace in the JSON of OTLP (ids in hexadecimal) or of Tempo (ids in base64)."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rag_cli.observe.spans import Attributes, Event, Link, NoTrace, Span, Trace

_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_ERRORS = (2, "2", "STATUS_CODE_ERROR")


def read(document: Mapping[str, Any], trace_id: str) -> Trace:
    """The trace in a response of either API version of Tempo. Raises NoTrace for an unknown format."""
    inner = document.get("trace", document)
    groups = inner.get("batches", inner.get("resourceSpans"))
    if groups is None:
        raise NoTrace("the response has no spans in a known format")
    spans = [span for span in _spans(groups) if span.trace_id == trace_id]
    partial = str(document.get("message") or "") if document.get("status") == "PARTIAL" else ""
    return Trace(trace_id, tuple({span.span_id: span for span in spans}.values()), partial)


def _spans(groups: Sequence[Mapping[str, Any]]) -> Iterator[Span]:
    for group in groups:
        resource = _attributes(group.get("resource", {}).get("attributes", ()))
        scopes = group.get("scopeSpans", group.get("instrumentationLibrarySpans", ()))
        for scope in scopes:
            for span in scope.get("spans", ()):
                yield _span(span, resource)


def _span(span: Mapping[str, Any], resource: Attributes) -> Span:
    status = span.get("status", {})
    return Span(
        trace_id=_hex(span.get("traceId", ""), 16),
        span_id=_hex(span.get("spanId", ""), 8),
        parent_id=_hex(span.get("parentSpanId", ""), 8),
        name=str(span.get("name", "")),
        kind=_kind(span.get("kind", 0)),
        start=int(span.get("startTimeUnixNano", 0)),
        end=int(span.get("endTimeUnixNano", 0)),
        failed=status.get("code") in _ERRORS,
        message=str(status.get("message", "")),
        attributes=_attributes(span.get("attributes", ())),
        resource=resource,
        events=tuple(map(_event, span.get("events", ()))),
        links=tuple(map(_link, span.get("links", ()))),
    )


def _event(event: Mapping[str, Any]) -> Event:
    attributes = _attributes(event.get("attributes", ()))
    return Event(str(event.get("name", "")), int(event.get("timeUnixNano", 0)), attributes)


def _link(link: Mapping[str, Any]) -> Link:
    attributes = _attributes(link.get("attributes", ()))
    return Link(_hex(link.get("traceId", ""), 16), _hex(link.get("spanId", ""), 8), attributes)


def _kind(kind: object) -> str:
    if isinstance(kind, int):
        return _KINDS[kind] if kind < len(_KINDS) else "unspecified"
    return str(kind).removeprefix("SPAN_KIND_").lower()


def _hex(text: str, size: int) -> str:
    """An id of `size` bytes in hexadecimal; empty if it is missing or all zeros.

    Base64 and hexadecimal are distinguished by their lengths.
    """
    if len(text) != size * 2:
        text = base64.b64decode(text).hex()
    return text.lower() if text.strip("0") else ""


def _attributes(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {item["key"]: _value(item.get("value", {})) for item in items}


def _value(value: Mapping[str, Any]) -> Any:
    for kind, content in value.items():
        if kind == "intValue":
            return int(content)
        if kind in ("stringValue", "boolValue", "doubleValue"):
            return content
        return json.dumps(content, ensure_ascii=False)
    return ""
