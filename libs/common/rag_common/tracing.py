"""Spans of a call: whatever runs inside one opens its own below it, without being handed anything."""

import asyncio
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Protocol

from rag_common.context import Trace
from rag_common.errors import AppError

Value = str | int | float | bool | tuple[str, ...]
Attributes = Mapping[str, Value]

CANCELLED = "CANCELLED"

_MOST_EVENTS = 128


class Recorder(Protocol):
    """Takes spans that have ended, and decides which traces are recorded."""

    def samples(self, parent: Trace | None, trace_id: str, name: str, kind: str) -> bool: ...

    def take(self, span: "Span") -> None: ...


class Span:
    """What is told of some work while it lasts; one without a recorder only hands its position on.

    `kind` is server, client, internal, producer or consumer; `began` and `ended` are nanoseconds since
    1970. Attributes and events never hold a question, a passage, an answer or a credential.
    """

    __slots__ = (
        "_recorder",
        "attributes",
        "began",
        "ended",
        "error",
        "events",
        "kind",
        "links",
        "name",
        "parent",
        "position",
    )

    def __init__(
        self,
        position: Trace,
        recorder: Recorder | None = None,
        name: str = "",
        kind: str = "internal",
        parent: Trace | None = None,
        attributes: Attributes | None = None,
    ) -> None:
        self.position = position
        self.name = name
        self.kind = kind
        self.parent = parent
        self.attributes: dict[str, Value] = dict(attributes) if attributes else {}
        self.events: list[tuple[str, int, Attributes]] = []
        self.links: Sequence[Trace] = ()
        self.error = ""
        self.began = time.time_ns() if recorder else 0
        self.ended = 0
        self._recorder = recorder

    @property
    def recording(self) -> bool:
        """Whether anything told is kept."""
        return self._recorder is not None

    def set(self, name: str, value: Value) -> None:
        """Give an attribute."""
        if self._recorder:
            self.attributes[name] = value

    def describe(self, attributes: Attributes) -> None:
        """Give several attributes."""
        if self._recorder:
            self.attributes.update(attributes)

    def event(self, name: str, attributes: Attributes | None = None) -> None:
        """Note that something happens at this moment."""
        if self._recorder and len(self.events) < _MOST_EVENTS:
            self.events.append((name, time.time_ns(), attributes or {}))

    def fail(self, error: str) -> None:
        """Mark as failed, by a reason or the type of an error, never its text."""
        if self._recorder:
            self.error = error
            self.attributes["error.type"] = error

    def end(self, ended: float | None = None) -> None:
        """End it, now or at a moment of time.monotonic(); what is told later is lost."""
        recorder, self._recorder = self._recorder, None
        if recorder:
            self.ended = time.time_ns() if ended is None else _nanoseconds(ended)
            recorder.take(self)

    def child(
        self,
        name: str,
        kind: str = "internal",
        attributes: Attributes | None = None,
        *,
        began: float | None = None,
        links: Sequence["Span"] = (),
    ) -> "Span":
        """A span below this one, which must be ended.

        `began` is a moment of time.monotonic(). Linked are spans that it has to do with besides.
        """
        if not self._recorder:
            return Span(self.position)
        above = self.position
        position = Trace(above.trace_id, f"{random.getrandbits(64):016x}")
        made = Span(position, self._recorder, name, kind, above, attributes)
        if began is not None:
            made.began = _nanoseconds(began)
        made.links = [link.position for link in links if link.position.sampled]
        return made


SILENT = Span(Trace("0" * 32, "0" * 16, sampled=False))

_CURRENT: ContextVar[Span] = ContextVar("span", default=SILENT)
_RECORDER: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


def current() -> Span:
    """The span that runs; outside of any, one that keeps nothing."""
    return _CURRENT.get()


class inside:
    """Run the block as part of the span, which it does not end."""

    __slots__ = ("_before", "_span")

    def __init__(self, span: Span) -> None:
        self._span = span
        self._before = SILENT

    def __enter__(self) -> Span:
        self._before = _CURRENT.get()
        _CURRENT.set(self._span)
        return self._span

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Not by a token: a stream's generator may be resumed in another task than it began in.
        _CURRENT.set(self._before)


class ending(inside):
    """The same, and end the span with the block, as failed where the block fails."""

    __slots__ = ()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        if error is not None:
            self._span.fail(reason(error))
        self._span.end()


@contextmanager
def finishing(made: Span) -> Iterator[Span]:
    """End the span with the block, and make it nobody's parent: for what hands out values in between.

    A generator would leave its own span behind as the current one of whoever takes the values.
    """
    try:
        yield made
    except BaseException as error:
        made.fail(reason(error))
        raise
    finally:
        made.end()


def span(name: str, kind: str = "internal", attributes: Attributes | None = None) -> inside:
    """Run the block as a span below the current one; an error in it marks the span as failed."""
    parent = _CURRENT.get()
    if not parent.recording:
        return inside(parent)
    return ending(parent.child(name, kind, attributes))


@contextmanager
def root(name: str, attributes: Attributes | None = None) -> Iterator[Span]:
    """Run work that no call asked for as a trace of its own."""
    with ending(begun(_RECORDER.get(), name, "internal", None, attributes)) as made:
        yield made


def begun(
    recorder: Recorder | None,
    name: str,
    kind: str,
    parent: Trace | None,
    attributes: Attributes | None = None,
) -> Span:
    """The first span of this process in a trace: below a caller's, or the root of a new one.

    It records where the recorder's sampler says so; without a recorder it keeps the caller's position.
    """
    if recorder is None:
        return Span(parent or Trace.new())
    new = Trace.new()
    trace_id = parent.trace_id if parent else new.trace_id
    sampled = recorder.samples(parent, trace_id, name, kind)
    position = Trace(trace_id, new.span_id, sampled)
    if not sampled:
        return Span(position)
    return Span(position, recorder, name, kind, parent, attributes)


def reason(error: BaseException) -> str:
    """What a failure is called: our own reason, or the error's type."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return CANCELLED
    # Of ours alone: what others call their reason may be any text.
    return error.reason if isinstance(error, AppError) else type(error).__name__


def use(recorder: Recorder) -> None:
    """Begin the traces of `root` with this recorder, in this context and in tasks begun from it."""
    _RECORDER.set(recorder)


def _nanoseconds(moment: float) -> int:
    """A moment of time.monotonic() in nanoseconds since 1970."""
    return time.time_ns() - int((time.monotonic() - moment) * 1e9)
