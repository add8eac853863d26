"""How much is logged, changed while the service runs: by whoever is on its machine, and for a while only."""

import asyncio
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import structlog

from rag_common import logs
from rag_common.pages import Orders, Page

log = structlog.get_logger()

_DEFAULT_SECONDS, _MOST_SECONDS = 600.0, 3600.0


class Verbosity:
    """`PUT /log-level` with {"level": "debug", "seconds": 600}; then it is as it was set at the start."""

    def __init__(self, level: str) -> None:
        self._usual = level
        self._reverting: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._forget()

    def orders(self) -> Orders:
        """What may be put."""
        return {"/log-level": self._put}

    async def _put(self, body: Mapping[str, Any]) -> Page:
        level, seconds = body.get("level"), body.get("seconds", _DEFAULT_SECONDS)
        if level not in logs.LEVELS:
            return _refusal(f"level must be one of {', '.join(logs.LEVELS)}")
        number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not number or not 1 <= seconds <= _MOST_SECONDS:
            return _refusal(f"seconds must be from 1 to {_MOST_SECONDS:.0f}")
        self._set(level, seconds)
        return Page(_json({"level": level, "seconds": seconds, "then": self._usual}))

    def _set(self, level: str, seconds: float) -> None:
        self._forget()
        logs.set_level(level)
        # Said at a level that no setting leaves out: who reads the log must know.
        log.error("log_level", level=level, seconds=seconds, then=self._usual)
        loop = asyncio.get_running_loop()
        self._reverting = loop.call_later(seconds, self._revert)

    def _revert(self) -> None:
        self._reverting = None
        logs.set_level(self._usual)
        log.error("log_level", level=self._usual)

    def _forget(self) -> None:
        if self._reverting:
            self._reverting.cancel()
            self._reverting = None


def _refusal(message: str) -> Page:
    return Page(_json({"error": message}), status=400)


def _json(facts: Mapping[str, Any]) -> bytes:
    return f"{json.dumps(facts)}\n".encode()
