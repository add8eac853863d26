"""The model of a trace, for every store. Times are nanoseconds since 1970."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.rpc import code_pb2

Attributes = Mapping[str, Any]


class NoTrace(ValueError):
    """There is no such trace, or the response is not a trace; the message has advice."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a span."""

    name: str
    time: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Link:
    """A link to another span, of the same trace or another."""

    trace_id: str
    span_id: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Span:
    """A span. Ids are lower-case hexadecimal; the parent id of a root is empty."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    start: int
    end: int
    failed: bool
    message: str
    attributes: Attributes
    resource: Attributes
    events: tuple[Event, ...]
    links: tuple[Link, ...]

    @property
    def service(self) -> str:
        """The name of the service."""
        return str(self.resource.get("service.name") or "unknown")

    @property
    def process(self) -> str:
        """The service with its instance or process id, if the span has one."""
        own = self.resource.get("service.instance.id") or self.resource.get("process.pid")
        return f"{self.service} {own if own is not None else ''}".strip()

    @property
    def duration(self) -> int:
        """The duration in nanoseconds; 0 if the span has not ended."""
        return max(0, self.end - self.start)

    @property
    def code(self) -> str:
        """The status of the RPC or of HTTP; without one, ERROR if the span failed, else empty."""
        for name in ("rpc.response.status_code", "rpc.grpc.status_code"):
            if name in self.attributes:
                return _grpc_code(self.attributes[name])
        for name in ("http.response.status_code", "http.status_code"):
            if name in self.attributes:
                return str(self.attributes[name])
        return "ERROR" if self.failed else ""

    @property
    def reason(self) -> str:
        """The error's type and message; empty if the span did not fail."""
        if not self.failed:
            return ""
        kind = str(self.attributes.get("error.type", ""))
        # Envoy's reason if there was no response: UF, UH, UO and so on.
        flags = str(self.attributes.get("response_flags", "-")).strip("-")
        details = (kind, self.message, flags and f"response flags {flags}")
        parts = dict.fromkeys(part for part in details if part)
        return ": ".join(parts) or "no reason was recorded"


@dataclass(frozen=True, slots=True)
class Trace:
    """The stored spans of a trace; `partial` is the reason if some are known to be missing."""

    trace_id: str
    spans: tuple[Span, ...]
    partial: str = ""


def _grpc_code(value: object) -> str:
    """The name of a gRPC status; Envoy and older conventions record the number."""
    text = str(value)
    known = text.isdecimal() and int(text) in code_pb2.Code.values()
    return code_pb2.Code.Name(code_pb2.Code.ValueType(int(text))) if known else text
