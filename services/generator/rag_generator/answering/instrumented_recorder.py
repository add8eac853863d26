"""Exports the measurements of answers as metrics and spans."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from opentelemetry import trace

from rag_common.observability import tracing
from rag_generator.answering.recorder import Measurement, Recorder
from rag_generator.telemetry.metrics import GeneratorMetrics


class InstrumentedRecorder(Recorder):
    """Labels metrics with the model's name; extractions are spans, fallbacks are span events."""

    def __init__(self, instruments: GeneratorMetrics) -> None:
        self._instruments = instruments

    def register(self, model: str) -> None:
        """Export the model's fallback counter from the start: a rate needs a first value."""
        self._instruments.fallbacks.labels(model)

    @contextmanager
    def extraction(self, passages: int) -> Iterator[Callable[[float], None]]:
        """A span `extract`, with the confidence as an attribute."""
        with tracing.span("extract", attributes={"rag.passages": passages}) as span:
            yield lambda confidence: span.set_attribute("rag.confidence", confidence)

    def on_answer(self, model: str, measured: Measurement) -> None:
        """Count the answer; a failed or cancelled one has a duration too."""
        metrics = self._instruments
        seconds = monotonic() - measured.began
        metrics.durations.labels(model, measured.outcome or "failed").observe(seconds)
        if measured.first is not None:
            metrics.first_tokens.labels(model).observe(measured.first)
        for kind, tokens in measured.tokens.items():
            metrics.tokens.labels(model, kind).inc(tokens)

    def on_fallback(self, model: str) -> None:
        """Count the fallback and note it in the call's span."""
        self._instruments.fallbacks.labels(model).inc()
        trace.get_current_span().add_event("fallback", {"gen_ai.request.model": model})
