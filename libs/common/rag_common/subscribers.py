"""Those who want to hear of a change: called on the event loop, none of them able to stop the others."""

from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger()

T = TypeVar("T")


class Subscribers(Generic[T]):
    """Callbacks, in the order in which they came."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[T], None]] = []

    def add(self, callback: Callable[[T], None]) -> None:
        """Call it with everything that is told from now on."""
        self._callbacks.append(callback)

    def tell(self, news: T) -> None:
        """Call all; one that fails is logged."""
        for callback in self._callbacks:
            try:
                callback(news)
            except Exception as error:
                log.error("vault_subscriber_failed", error=type(error).__name__)
