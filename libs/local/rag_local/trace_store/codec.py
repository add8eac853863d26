"""Decoding and encoding of OTLP over HTTP, as protobuf or JSON."""

import base64
import binascii
import json
from collections.abc import Iterable
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

JSON, PROTOBUF = "application/json", "application/x-protobuf"

_IDS = ("traceId", "spanId", "parentSpanId")


class Malformed(ValueError):
    """The request is malformed."""


def decode(body: bytes, media_type: str) -> ExportTraceServiceRequest:
    """The export in a request's body. Raises Malformed."""
    try:
        if media_type == PROTOBUF:
            return ExportTraceServiceRequest.FromString(body)
        return _from_json(json.loads(body))
    except (DecodeError, json_format.ParseError, ValueError, TypeError, AttributeError) as error:
        raise Malformed("the body is not an ExportTraceServiceRequest") from error
    except RecursionError as error:
        raise Malformed("the body is nested too deeply") from error


def encode(message: Message, media_type: str) -> bytes:
    """Encode the message in the media type of the request."""
    if media_type == PROTOBUF:
        return message.SerializeToString()
    return json_format.MessageToJson(message, indent=None).encode()


def _from_json(document: dict[str, Any]) -> ExportTraceServiceRequest:
    """Parse OTLP's JSON, which has ids in hexadecimal instead of protobuf's base64."""
    for span in _spans(document):
        for holder in (span, *span.get("links", ())):
            for name in _IDS:
                if holder.get(name):
                    holder[name] = _base64(holder[name])
    return json_format.ParseDict(document, ExportTraceServiceRequest(), ignore_unknown_fields=True)


def _spans(document: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for group in document.get("resourceSpans", ()):
        for scope in group.get("scopeSpans", ()):
            yield from scope.get("spans", ())


def _base64(written: str) -> str:
    try:
        return base64.b64encode(bytes.fromhex(written)).decode()
    except (ValueError, binascii.Error) as error:
        raise Malformed(f"an id is not hexadecimal: {error}") from error
