"""Calls to a data store or an outside system: a span and a duration each, failed ones by their error."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.trace import Span, SpanKind
from prometheus_client import Histogram

from rag_common.observability import tracing
from rag_common.observability.tracing import Attributes


class Dependency:
    """One system, as `rag_dependency_duration_seconds` names it."""

    def __init__(self, durations: Histogram, system: str, attributes: Attributes) -> None:
        self._durations = durations
        self._system = system
        self._attributes = attributes

    @contextmanager
    def call(
        self,
        operation: str,
        attributes: Attributes | None = None,
        *,
        name: str = "",
        streams: bool = False,
    ) -> Iterator[Span]:
        """Call the system inside; `operation` has few values, and names the span unless `name` does.

        A call that hands out values in between `streams`: its span is nobody's parent.
        """
        began = time.monotonic()
        error = ""
        merged = {**self._attributes, **(attributes or {})}
        span = tracing.start_span(name or operation, SpanKind.CLIENT, merged)
        with tracing.ending(span) if streams else tracing.use_span(span, end_on_exit=True):
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
