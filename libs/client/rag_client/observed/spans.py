"""A trace as it is read, whatever kept it. Times are nanoseconds since 1970."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Attributes = Mapping[str, Any]


class NoTrace(ValueError):
    """There is no such trace, or what came is none; the message says what to look at."""


@dataclass(frozen=True, slots=True)
class Event:
    """A moment of a span."""

    name: str
    time: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Link:
    """Another span that this one has to do with, of the same trace or another."""

    trace_id: str
    span_id: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work. Ids are lower-case hexadecimal; a root has no parent."""

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
        """Who did it."""
        return str(self.resource.get("service.name") or "unknown")

    @property
    def process(self) -> str:
        """Which of the service's processes did it, as far as it says so."""
        own = self.resource.get("service.instance.id") or self.resource.get("process.pid")
        return f"{self.service} {own if own is not None else ''}".strip()

    @property
    def duration(self) -> int:
        """In nanoseconds; 0 where it has not ended."""
        return max(0, self.end - self.start)

    @property
    def code(self) -> str:
        """What it ended with: the status of the RPC or of HTTP, or else OK or ERROR where that was said."""
        for name in ("rpc.response.status_code", "rpc.grpc.status_code"):
            if name in self.attributes:
                return _grpc_code(self.attributes[name])
        for name in ("http.response.status_code", "http.status_code"):
            if name in self.attributes:
                return str(self.attributes[name])
        return "ERROR" if self.failed else ""

    @property
    def reason(self) -> str:
        """Why it failed: the error's type, and what it says beside that; empty where it did not."""
        if not self.failed:
            return ""
        kind = str(self.attributes.get("error.type", ""))
        # Envoy's own word, where it did not come to a reply: UF, UH, UO and so on.
        flags = str(self.attributes.get("response_flags", "-")).strip("-")
        told = (kind, self.message, flags and f"response flags {flags}")
        parts = dict.fromkeys(part for part in told if part)
        return ": ".join(parts) or "no reason was recorded"


@dataclass(frozen=True, slots=True)
class Trace:
    """All spans of one trace that were kept; `partial` says why some are known not to be."""

    trace_id: str
    spans: tuple[Span, ...]
    partial: str = ""


_GRPC_CODES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)


def _grpc_code(value: object) -> str:
    """By name; Envoy and older conventions write the number."""
    text = str(value)
    known = text.isdecimal() and int(text) < len(_GRPC_CODES)
    return _GRPC_CODES[int(text)] if known else text
