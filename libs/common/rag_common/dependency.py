"""Calls to a data store or an outside system: a span and a duration each, failed ones by their error."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Histogram

from rag_common import tracing
from rag_common.tracing import Attributes, Span


class Dependency:
    """One system, as `rag_dependency_duration_seconds` names it."""

    def __init__(self, durations: Histogram, system: str, attributes: Attributes) -> None:
        self._durations = durations
        self._system = system
        self._attributes = attributes

    @contextmanager
    def call(self, operation: str, attributes: Attributes | None = None) -> Iterator[Span]:
        """Call it inside; `operation` is one of few."""
        began = time.monotonic()
        error = ""
        told = {**self._attributes, **(attributes or {})}
        with tracing.span(operation, "client", told) as span:
            try:
                yield span
            except BaseException as failure:
                error = tracing.reason(failure)
                raise
            finally:
                seconds = time.monotonic() - began
                self._durations.labels(self._system, operation, error).observe(seconds)


def database(durations: Histogram, system: str) -> Dependency:
    """A data store, by OpenTelemetry's conventions for databases."""
    return Dependency(durations, system, {"db.system.name": system})
