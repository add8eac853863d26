"""One pipeline for every log line, ours by structlog and libraries' by logging: JSON, or a console form."""

import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import structlog

from rag_common import tracing
from rag_common.context import CALL
from rag_common.redaction import Redaction

LEVELS = ("debug", "info", "warning", "error")

# Is told each line that is written.
Listener = Callable[[Mapping[str, Any]], None]

_LISTENERS: list[Listener] = []


def configure(service: str, level: str = "info", form: str = "auto") -> None:
    """Send everything of at least `level` to standard output, one line an event, redacted."""
    _LISTENERS.clear()
    console = form == "console" or (form == "auto" and sys.stdout.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _Stamp(service),
        structlog.processors.format_exc_info,
        Redaction(),
        _told,
    ]
    if console:
        shared.remove(structlog.processors.format_exc_info)
    render: Any = (
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, render],
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        # Loggers are made at import: a cached one would keep the form it was first used with.
        cache_logger_on_first_use=False,
    )
    _adopt_logging(shared, render)
    set_level(level)


def set_level(level: str) -> None:
    """From now on leave out what is below `level`, which is one of LEVELS."""
    number = logging.getLevelName(level.upper())
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(number))
    logging.getLogger().setLevel(max(number, logging.WARNING))


def listen(listener: Listener) -> None:
    """Have each line told, until the next `configure`."""
    _LISTENERS.append(listener)


def _told(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for listener in _LISTENERS:
        listener(event)
    return event


class _Stamp:
    """Adds the service and, inside a call, its ids."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        event["service"] = self._service
        call = CALL.get()
        if call:
            event["request_id"] = call.request_id
            event["trace_id"] = call.trace.trace_id
            if call.principal:
                event["tenant"] = call.principal.tenant
        at = tracing.current()
        if at.recording:
            event["span_id"] = at.position.span_id
        return event


def _adopt_logging(shared: list[Any], render: Any) -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
