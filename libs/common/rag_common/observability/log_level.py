"""Changes the log level at run time, for a limited time, by HTTP requests from the same machine."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Self

import structlog

from rag_common.http.pages import Page, PutHandlers
from rag_common.observability import logging

log = structlog.get_logger()

_DEFAULT_SECONDS, _MAX_SECONDS = 600.0, 3600.0


class LogLevelControl:
    """Handles `PUT /log-level` with {"level": "debug", "seconds": 600}; then the level is reset."""

    def __init__(self, level: str) -> None:
        self._default = level
        self._reset_timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._cancel_reset()

    def put_handlers(self) -> PutHandlers:
        """The PUT handlers of the HTTP port."""
        return {"/log-level": self._put}

    async def _put(self, body: Mapping[str, Any]) -> Page:
        level, seconds = body.get("level"), body.get("seconds", _DEFAULT_SECONDS)
        if level not in logging.LEVELS:
            return _bad_request(f"level must be one of {', '.join(logging.LEVELS)}")
        number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not number or not 1 <= seconds <= _MAX_SECONDS:
            return _bad_request(f"seconds must be from 1 to {_MAX_SECONDS:.0f}")
        self._set(level, seconds)
        return Page(_json({"level": level, "seconds": seconds, "then": self._default}))

    def _set(self, level: str, seconds: float) -> None:
        self._cancel_reset()
        logging.set_level(level)
        # Logged as an error so that the line appears at every level.
        log.error("log_level", level=level, seconds=seconds, then=self._default)
        loop = asyncio.get_running_loop()
        self._reset_timer = loop.call_later(seconds, self._reset)

    def _reset(self) -> None:
        self._reset_timer = None
        logging.set_level(self._default)
        log.error("log_level", level=self._default)

    def _cancel_reset(self) -> None:
        if self._reset_timer:
            self._reset_timer.cancel()
            self._reset_timer = None


def _bad_request(message: str) -> Page:
    return Page(_json({"error": message}), status=400)


def _json(document: Mapping[str, Any]) -> bytes:
    return f"{json.dumps(document)}\n".encode()
