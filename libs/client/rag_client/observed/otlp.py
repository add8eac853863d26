"""A trace in OTLP's JSON: what Tempo answers (ids in base64), and OTLP's own (in hexadecimal)."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rag_client.observed.spans import Attributes, Event, Link, NoTrace, Span, Trace

_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_ERRORS = (2, "2", "STATUS_CODE_ERROR")


def read(document: Mapping[str, Any], wanted: str) -> Trace:
    """The trace in Tempo's answer of either version. Raises NoTrace where it is none."""
    inner = document.get("trace", document)
    groups = inner.get("batches", inner.get("resourceSpans"))
    if groups is None:
        raise NoTrace("the answer has no spans in a form that is known here")
    spans = [span for span in _spans(groups) if span.trace_id == wanted]
    partial = str(document.get("message") or "") if document.get("status") == "PARTIAL" else ""
    return Trace(wanted, tuple({span.span_id: span for span in spans}.values()), partial)


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


def _hex(written: str, size: int) -> str:
    """An id of so many bytes as hexadecimal digits, empty where it is left out or all zeros.

    The two forms cannot be taken for each other: base64 of as many bytes has another length.
    """
    if len(written) != size * 2:
        written = base64.b64decode(written).hex()
    return written.lower() if written.strip("0") else ""


def _attributes(written: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {item["key"]: _value(item.get("value", {})) for item in written}


def _value(value: Mapping[str, Any]) -> Any:
    for kind, found in value.items():
        if kind == "intValue":
            return int(found)
        if kind in ("stringValue", "boolValue", "doubleValue"):
            return found
        return json.dumps(found, ensure_ascii=False)
    return ""
