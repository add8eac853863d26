"""The log pipeline, for structlog and for libraries that use `logging`: JSON lines or console text."""

import json
import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, TextIO

import structlog
from opentelemetry import trace

from rag_common.context import CALL
from rag_common.observability.log_stream import LogStream, log_stream
from rag_common.observability.redaction import redact_event

LEVELS = ("debug", "info", "warning", "error")

# Called with the event of each line that is written.
Listener = Callable[[Mapping[str, Any]], None]

_LISTENERS: list[Listener] = []
_DROP_LISTENERS: list[Callable[[], None]] = []
_STREAMS: list[LogStream | TextIO] = []

log = structlog.get_logger()

# One for all lines: json.dumps makes one for each call with a `default`. Redaction leaves plain values.
_JSON = json.JSONEncoder(default=repr)


def configure(service: str, level: str = "info", form: str = "auto", region: str = "") -> None:
    """Write events of at least `level` to standard output, redacted, one line each.

    Each line has the service's name, and its region unless that is empty.

    A thread writes the lines. If its queue is full because the output is not read, lines are dropped
    and counted, and a later line reports their number.
    """
    _LISTENERS.clear()
    _DROP_LISTENERS.clear()
    stream = _open_stream()
    console = form == "console" or (form == "auto" and sys.stdout.isatty())
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _ContextFields(service, region),
        # Before the redaction, in the console form too: text created after it would not be redacted.
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact_event,
        _notify_listeners,
    ]
    render: Any = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if console
        else _render_json
    )
    structlog.configure(
        processors=[*shared, render],
        logger_factory=lambda *_: _LineWriter(stream),
        # Loggers are created at import; a cached one would keep the configuration of its first use.
        cache_logger_on_first_use=False,
    )
    _adopt_logging(shared, render, stream)
    set_level(level)


def set_level(level: str) -> None:
    """Set the minimum level, one of LEVELS."""
    number = logging.getLevelName(level.upper())
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(number))
    logging.getLogger().setLevel(max(number, logging.WARNING))


def listen(listener: Listener) -> None:
    """Call `listener` with each event, until the next `configure`."""
    _LISTENERS.append(listener)


def listen_for_drops(listener: Callable[[], None]) -> None:
    """Call `listener` for each line that is dropped, until the next `configure`."""
    _DROP_LISTENERS.append(listener)


def close() -> None:
    """Write the queued lines; later ones are lost."""
    while _STREAMS:
        stream = _STREAMS.pop()
        if isinstance(stream, LogStream):
            stream.close()


def _open_stream() -> Any:
    """Open the output stream, after writing the queued lines of the previous one."""
    close()
    stream = log_stream(sys.stdout, _dropped, _resumed)
    _STREAMS.append(stream)
    return stream


def _dropped() -> None:
    for listener in _DROP_LISTENERS:
        listener()


def _resumed(lines: int) -> None:
    log.warning(
        "log_lines_dropped",
        lines=lines,
        message="standard output was not read, and the queue of lines was full",
    )


class _LineWriter(structlog.WriteLogger):
    """Writes lines to the stream, warnings and errors at once."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._stream = stream

    def warning(self, message: str) -> None:
        """Write the line, and do not let it wait for others."""
        self.msg(message)
        if isinstance(self._stream, LogStream):
            self._stream.hurry()

    warn = error = exception = critical = fatal = failure = warning


def _render_json(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    return _JSON.encode(event)


def _notify_listeners(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for listener in _LISTENERS:
        listener(event)
    return event


class _ContextFields:
    """Adds the service's name and region and, inside a call, its ids."""

    def __init__(self, service: str, region: str) -> None:
        self._service = service
        self._region = region

    def __call__(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        event["service"] = self._service
        if self._region:
            event["region"] = self._region
        call = CALL.get()
        if call:
            event["request_id"] = call.request_id
            event["trace_id"] = call.trace_id
            if call.principal:
                event["tenant"] = call.principal.tenant
        span = trace.get_current_span()
        if span.is_recording():
            event["span_id"] = trace.format_span_id(span.get_span_context().span_id)
        return event


def _adopt_logging(shared: list[Any], render: Any, stream: Any) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
