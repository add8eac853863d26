"""Telemetry of calls to a language model: a span, the duration, and retries."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

from opentelemetry.trace import Span, set_span_in_context

from rag_common.observability.dependency import Dependency
from rag_common.observability.tracing import PROPAGATOR, Attributes
from rag_generator.llm.model import ModelChunk, Sampling
from rag_generator.telemetry.metrics import GeneratorMetrics

_SYSTEM, _OPERATION = "llm", "chat"


class ChatCall:
    """Records the events of one call."""

    def __init__(self, span: Span, model: str, instruments: GeneratorMetrics) -> None:
        self._span = span
        self._model = model
        self._instruments = instruments
        self._has_text = False

    @property
    def has_text(self) -> bool:
        """Whether the first text has arrived."""
        return self._has_text

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that make the server's spans children of this call's; none if it is not recorded."""
        headers: dict[str, str] = {}
        if self._span.is_recording():
            PROPAGATOR.inject(headers, set_span_in_context(self._span))
        return headers

    def on_retry(self, error: Exception, tries: int) -> None:
        """Record a retry after `error`; `tries` is the number of previous attempts."""
        self._instruments.retries.labels(self._model).inc()
        self._span.add_event("retry", {"error.type": type(error).__name__})
        self._span.set_attribute("http.request.resend_count", tries)

    def on_text(self) -> None:
        """Record that text has arrived; only the first time has an effect."""
        if not self._has_text:
            self._has_text = True
            self._span.add_event("first_token")

    def on_end(self, last: ModelChunk) -> None:
        """Record how the answer ended; token counts of 0 are left out."""
        counts = {"input": last.input_tokens, "output": last.output_tokens}
        told = {f"gen_ai.usage.{kind}_tokens": count for kind, count in counts.items() if count}
        self._span.set_attributes(told)
        if last.finish:
            # In the conventions a list with a reason for each choice; there is one choice.
            self._span.set_attribute("gen_ai.response.finish_reasons", (last.finish.value,))


class ChatInstrumentation:
    """Records the calls to one server; `provider` is its name in OpenTelemetry's conventions."""

    def __init__(self, instruments: GeneratorMetrics, provider: str, address: Attributes) -> None:
        self._instruments = instruments
        attributes = {
            "gen_ai.operation.name": _OPERATION,
            "gen_ai.provider.name": provider,
            **address,
        }
        self._server = Dependency(instruments.dependencies, _SYSTEM, attributes)

    def register(self, model: str) -> None:
        """Export the model's retry counter from the start: a rate needs a first value."""
        self._instruments.retries.labels(model)

    @contextmanager
    def call(self, model: str, sampling: Sampling) -> Iterator[ChatCall]:
        """A context for one call. Its span is not current, because the caller yields text inside."""
        attributes = _request_attributes(model, sampling)
        name = f"{_OPERATION} {model}"
        with self._server.call(_OPERATION, attributes, name=name, streams=True) as span:
            yield ChatCall(span, model, self._instruments)


def _request_attributes(model: str, sampling: Sampling) -> Attributes:
    return {
        "gen_ai.request.model": model,
        "gen_ai.request.max_tokens": sampling.max_tokens,
        "gen_ai.request.temperature": sampling.temperature,
    }


def address(url: str) -> Attributes:
    """A server's address and port as attributes of the conventions."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {"server.address": parts.hostname or "", "server.port": port}
