"""One pipeline for every log line, ours by structlog and libraries' by logging: JSON, or a console form."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from rag_common.context import CALL


def configure(service: str, level: str = "info", form: str = "auto") -> None:
    """Send everything of at least `level` to standard output, one line an event."""
    console = form == "console" or (form == "auto" and sys.stdout.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _Stamp(service),
        structlog.processors.format_exc_info,
    ]
    if console:
        shared.pop()
    render: Any = (
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        # Loggers are made at import: a cached one would keep the form it was first used with.
        cache_logger_on_first_use=False,
    )
    _adopt_logging(shared, render, level)


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
        return event


def _adopt_logging(shared: list[Any], render: Any, level: str) -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.getLevelName(level.upper()), logging.WARNING))
