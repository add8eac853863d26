"""Callbacks for changes, called on the event loop; one that fails does not affect the others."""

from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger()

T = TypeVar("T")


class Subscribers(Generic[T]):
    """Callbacks in the order of their registration; `subject` names what changes, for the log."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._callbacks: list[Callable[[T], None]] = []

    def add(self, callback: Callable[[T], None]) -> None:
        """Call it with every later value."""
        self._callbacks.append(callback)

    def notify(self, value: T) -> None:
        """Call all callbacks; one that raises is logged."""
        for callback in self._callbacks:
            try:
                callback(value)
            except Exception as error:
                log.error("subscriber_failed", subject=self._subject, error=type(error).__name__)
