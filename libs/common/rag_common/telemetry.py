"""What a service tells of itself: spans, log lines and metrics; by OTLP where the OTEL_ variables say so."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rag_common import logs, tracing
from rag_common.context import Trace
from rag_common.metrics import Metrics
from rag_common.settings import SettingsInvalid
from rag_common.tracing import Attributes, Recorder, Span

_SIGNALS = ("traces", "metrics", "logs")


class Telemetry:
    """Opens the spans that begin in this service, and holds what is counted.

    Without a recorder it only hands the caller's trace on.
    """

    def __init__(self, metrics: Metrics | None = None, recorder: Recorder | None = None) -> None:
        self.metrics = metrics or Metrics()
        self._recorder = recorder
        self._sending = ExitStack()

    @contextmanager
    def serving(self, name: str, parent: Trace | None, attributes: Attributes) -> Iterator[Span]:
        """Serve a call inside: a span below the caller's, or a new trace. Whoever serves says how it ended."""
        made = tracing.begun(self._recorder, name, "server", parent, attributes)
        with tracing.inside(made):
            try:
                yield made
            finally:
                made.end()

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        self._sending.close()

    def sends(self, close: Callable[[], None]) -> None:
        """Have something closed at the end."""
        self._sending.callback(close)


def configure(service: str, version: str, region: str = "") -> Telemetry:
    """Send what the standard OTEL_ variables ask for to where they say. Raises SettingsInvalid."""
    metrics = Metrics(service, version)
    logs.listen(metrics.line)
    if not any(os.environ.get(name) for name in _endpoints()):
        return Telemetry(metrics)
    try:
        from rag_common.otlp.sending import opened
    except ImportError as error:
        raise SettingsInvalid("OTLP is asked for, and its exporter is not installed") from error
    return opened(metrics, service, version, region)


def _endpoints() -> list[str]:
    base = "OTEL_EXPORTER_OTLP_{}ENDPOINT"
    return [base.format(""), *(base.format(f"{signal.upper()}_") for signal in _SIGNALS)]
