"""Spans of a call: whatever runs inside one opens its own below it, without being handed anything."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from rag_common.context import Trace

Value = str | int | float | bool
Attributes = Mapping[str, Value]

CANCELLED = "CANCELLED"


class Span:
    """What a span is told while it lasts; one without a recorder only hands its position on.

    Attributes and events never hold a question, a passage, an answer or a credential.
    """

    __slots__ = ("_recorded", "_tracer", "position")

    def __init__(self, position: Trace, tracer: Any = None, recorded: Any = None) -> None:
        self.position = position
        self._tracer = tracer
        self._recorded = recorded

    @property
    def recording(self) -> bool:
        """Whether anything told is kept."""
        return self._recorded is not None

    def set(self, name: str, value: Value) -> None:
        """Give an attribute."""
        if self._recorded:
            self._recorded.set_attribute(name, value)

    def describe(self, attributes: Attributes) -> None:
        """Give several attributes, which costs less than one by one."""
        if self._recorded:
            self._recorded.set_attributes(attributes)

    def event(self, name: str, attributes: Attributes | None = None) -> None:
        """Note that something happens at this moment."""
        if self._recorded:
            self._recorded.add_event(name, attributes)

    def fail(self, error: str) -> None:
        """Mark as failed, by a reason or the type of an error, never its text."""
        if self._recorded:
            from opentelemetry.trace import StatusCode

            self._recorded.set_status(StatusCode.ERROR, error)
            self._recorded.set_attribute("error.type", error)

    def end(self, ended: float | None = None) -> None:
        """End it, now or at a moment of time.monotonic()."""
        if self._recorded:
            self._recorded.end(None if ended is None else _nanoseconds(ended))

    def child(
        self,
        name: str,
        kind: str = "internal",
        attributes: Attributes | None = None,
        *,
        began: float | None = None,
        links: Sequence["Span"] = (),
    ) -> "Span":
        """A span below this one, of kind internal, client, producer or consumer; it must be ended.

        `began` is a moment of time.monotonic(). Linked are spans that it has to do with besides.
        """
        if not self._recorded:
            return self
        return started(self._tracer, name, kind, self._recorded, attributes, began, links)


SILENT = Span(Trace("0" * 32, "0" * 16, sampled=False))

_CURRENT: ContextVar[Span] = ContextVar("span", default=SILENT)
_TRACER: ContextVar[Any] = ContextVar("tracer", default=None)


def current() -> Span:
    """The span that runs; outside of any, one that keeps nothing."""
    return _CURRENT.get()


@contextmanager
def inside(span: Span) -> Iterator[Span]:
    """Run the block as part of the span, which it does not end."""
    before = _CURRENT.get()
    _CURRENT.set(span)
    try:
        yield span
    finally:
        # Not by its token: a stream's generator may be resumed in another task than it began in.
        _CURRENT.set(before)


@contextmanager
def span(name: str, kind: str = "internal", attributes: Attributes | None = None) -> Iterator[Span]:
    """Run the block as a span below the current one; an error in it marks the span as failed."""
    parent = _CURRENT.get()
    if not parent.recording:
        yield parent
        return
    made = parent.child(name, kind, attributes)
    with inside(made), ending(made):
        yield made


@contextmanager
def root(name: str, attributes: Attributes | None = None) -> Iterator[Span]:
    """Run work that no call asked for as a trace of its own."""
    tracer = _TRACER.get()
    if tracer is None:
        yield SILENT
        return
    made = started(tracer, name, "internal", None, attributes)
    with inside(made), ending(made):
        yield made


@contextmanager
def ending(made: Span) -> Iterator[None]:
    """End the span with the block, as failed where the block fails."""
    try:
        yield
    except (asyncio.CancelledError, GeneratorExit):
        made.fail(CANCELLED)
        raise
    except BaseException as error:
        made.fail(getattr(error, "reason", None) or type(error).__name__)
        raise
    finally:
        made.end()


def use(tracer: Any) -> None:
    """Begin the traces of `root` with this tracer, in this context and in tasks begun from it."""
    _TRACER.set(tracer)


def started(
    tracer: Any,
    name: str,
    kind: str,
    parent: Any,
    attributes: Attributes | None = None,
    began: float | None = None,
    links: Sequence[Span] = (),
) -> Span:
    """A span below `parent`, which is OpenTelemetry's own; None begins a trace."""
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind, set_span_in_context

    recorded = tracer.start_span(
        name,
        Context() if parent is None else set_span_in_context(parent, Context()),
        kind=SpanKind[kind.upper()],
        attributes=attributes,
        links=[Link(link._recorded.get_span_context()) for link in links if link.recording],
        start_time=None if began is None else _nanoseconds(began),
    )
    context = recorded.get_span_context()
    position = Trace(
        f"{context.trace_id:032x}", f"{context.span_id:016x}", context.trace_flags.sampled
    )
    return Span(position, tracer, recorded if recorded.is_recording() else None)


def remote(parent: Trace) -> Any:
    """A caller's position as OpenTelemetry's own span."""
    from opentelemetry import trace

    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if parent.sampled else 0)
    return trace.NonRecordingSpan(
        trace.SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), True, flags)
    )


def _nanoseconds(moment: float) -> int:
    """A moment of time.monotonic() in nanoseconds since 1970."""
    return time.time_ns() - int((time.monotonic() - moment) * 1e9)
