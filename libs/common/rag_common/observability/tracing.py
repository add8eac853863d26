"""Thin helpers over OpenTelemetry's API: the span that runs is OpenTelemetry's, for every library to join.

They differ from the API in three things. Work below a span that is not recorded costs one look, and
starts no trace of its own. A failed span names the kind of the error and never its text, which may hold
what a caller wrote. And a tracer can be carried in the context, so that two services in one process each
have their own provider.
"""

import asyncio
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from rag_contract.errors import AppError

Value = str | int | float | bool | tuple[str, ...]
Attributes = Mapping[str, Value]

CANCELLED = "CANCELLED"
# The scope of our own spans, whose texts are ours.
SCOPE = "rag"
# Reads and writes the headers `traceparent` and `tracestate`.
PROPAGATOR = TraceContextTextMapPropagator()

_TRACER = contexts.create_key("rag-tracer")


class use_span:
    """Make a span the current one for the block, and end it with the block if `end_on_exit`.

    An error marks a span that is ended here as failed.
    """

    __slots__ = ("_before", "_end", "_span")

    _before: Context

    def __init__(self, span: Span, *, end_on_exit: bool = False) -> None:
        self._span = span
        self._end = end_on_exit

    def __enter__(self) -> Span:
        self._before = contexts.get_current()
        contexts.attach(trace.set_span_in_context(self._span, self._before))
        return self._span

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Not by a token: a stream's generator may be resumed in another task than it began in.
        contexts.attach(self._before)
        if self._end:
            if error is not None:
                fail(self._span, reason(error))
            self._span.end()


def span(
    name: str, kind: SpanKind = SpanKind.INTERNAL, attributes: Attributes | None = None
) -> use_span:
    """Run the block as a span below the current one; an error in it marks the span as failed."""
    parent = trace.get_current_span()
    if not parent.is_recording():
        return use_span(parent)
    return use_span(_tracer().start_span(name, None, kind, attributes), end_on_exit=True)


def start_span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
    *,
    context: Context | None = None,
    start: float | None = None,
    links: Sequence[Span] = (),
) -> Span:
    """A span below that of the context, by default the current one; not current, and to be ended.

    `start` is a moment of time.monotonic(). Linked are spans that it has to do with besides, if they
    are sampled. Below a parent that is not recorded it is that parent.
    """
    parent = trace.get_current_span(context)
    if not parent.is_recording():
        return parent
    return _tracer(context).start_span(
        name,
        context,
        kind,
        attributes,
        [_link(to) for to in map(_position, links) if to.trace_flags.sampled],
        None if start is None else nanoseconds(start),
    )


def root(name: str, attributes: Attributes | None = None) -> use_span:
    """Run work that no call requested as a trace of its own."""
    created = _tracer().start_span(name, Context(), SpanKind.INTERNAL, attributes)
    return use_span(created, end_on_exit=True)


@contextmanager
def ending(span: Span) -> Iterator[Span]:
    """End the span with the block, and make it nobody's parent: for what hands out values in between.

    A generator would leave its own span behind as the current one of its consumer.
    """
    try:
        yield span
    except BaseException as error:
        fail(span, reason(error))
        raise
    finally:
        span.end()


def fail(span: Span, error: str) -> None:
    """Mark the span as failed, by a reason or the type of an error, never its text."""
    if span.is_recording():
        span.set_attribute("error.type", error)
        span.set_status(StatusCode.ERROR, error)


def reason(error: BaseException) -> str:
    """What a failure is called: our own reason, or the error's type."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return CANCELLED
    # Of ours alone: what others call their reason may be any text.
    return error.reason if isinstance(error, AppError) else type(error).__name__


def unrecorded(span: Span) -> Span:
    """A span in the place of this one that records nothing below it."""
    position = span.get_span_context()
    return NonRecordingSpan(SpanContext(position.trace_id, position.span_id, is_remote=False))


def new_trace() -> Span:
    """The root of a trace that this process does not record: it has ids, and others may record it."""
    flags = TraceFlags(TraceFlags.SAMPLED)
    # As OpenTelemetry's own generator does it.
    ids = random.getrandbits(128), random.getrandbits(64)
    return NonRecordingSpan(SpanContext(*ids, is_remote=False, trace_flags=flags))


def trace_id(span: Span) -> str:
    """The id of the span's trace, 32 hexadecimal digits."""
    return trace.format_trace_id(span.get_span_context().trace_id)


def with_tracer(tracer: Tracer, context: Context | None = None) -> Context:
    """The context, by default the current one, in which these helpers use the tracer."""
    return contexts.set_value(_TRACER, tracer, context)


def nanoseconds(moment: float) -> int:
    """A moment of time.monotonic() in nanoseconds since 1970."""
    return time.time_ns() - int((time.monotonic() - moment) * 1e9)


def _position(span: Span) -> SpanContext:
    return span.get_span_context()


def _link(to: SpanContext) -> Link:
    """Without the caller's tracestate: the collector's redaction does not reach links."""
    return Link(SpanContext(to.trace_id, to.span_id, to.is_remote, to.trace_flags))


def _tracer(context: Context | None = None) -> Tracer:
    """The tracer of the context, by default of the current one; else the global provider's."""
    tracer = contexts.get_value(_TRACER, context)
    return tracer if isinstance(tracer, Tracer) else trace.get_tracer(SCOPE)
