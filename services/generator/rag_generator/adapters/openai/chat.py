"""What is told of each call to a language model: a span, how long it took, and each further try."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from urllib.parse import urlsplit

from rag_common import tracing
from rag_common.tracing import Attributes, Span
from rag_generator.instruments import Instruments
from rag_generator.prompted import Piece, Sampling

_SYSTEM, _OPERATION = "llm", "chat"


class Chat:
    """One call while it lasts."""

    def __init__(self, span: Span, model: str, instruments: Instruments) -> None:
        self._span = span
        self._model = model
        self._instruments = instruments
        self._worded = False

    @property
    def worded(self) -> bool:
        """Whether words have come."""
        return self._worded

    @property
    def headers(self) -> Mapping[str, str]:
        """What makes the server's spans children of this call's, where anybody records them."""
        return {"traceparent": self._span.position.traceparent} if self._span.recording else {}

    def again(self, error: Exception, tries: int) -> None:
        """Note that the server is asked once more; `tries` counts those before."""
        self._instruments.retries.labels(self._model).inc()
        self._span.event("retry", {"error.type": type(error).__name__})
        self._span.set("http.request.resend_count", tries)

    def words(self) -> None:
        """Note that words came; only the first time says something."""
        if not self._worded:
            self._worded = True
            self._span.event("first_token")

    def ended(self, last: Piece) -> None:
        """Note how the answer ended; a count of 0 is none."""
        counts = {"input": last.input_tokens, "output": last.output_tokens}
        told = {f"gen_ai.usage.{kind}_tokens": count for kind, count in counts.items() if count}
        self._span.describe(told)
        if last.finish:
            # A list in the conventions, of one reason for each choice; there is one choice.
            self._span.set("gen_ai.response.finish_reasons", (last.finish.value,))


class Calls:
    """The calls to one server; `provider` is what OpenTelemetry's conventions call it."""

    def __init__(self, instruments: Instruments, provider: str, address: Attributes) -> None:
        self._instruments = instruments
        self._attributes: Attributes = {
            "gen_ai.operation.name": _OPERATION,
            "gen_ai.provider.name": provider,
            **address,
        }

    def expect(self, model: str) -> None:
        """Show the model's count of further tries from the start: a rate needs a value before."""
        self._instruments.retries.labels(model)

    @contextmanager
    def begun(self, model: str, sampling: Sampling) -> Iterator[Chat]:
        """Call it inside. Not current, for words are handed out in between."""
        began, error = monotonic(), ""
        span = tracing.current().child(
            f"{_OPERATION} {model}", "client", self._asked(model, sampling)
        )
        try:
            yield Chat(span, model, self._instruments)
        except BaseException as failure:
            error = tracing.reason(failure)
            span.fail(error)
            raise
        finally:
            span.end()
            durations = self._instruments.dependencies.labels(_SYSTEM, _OPERATION, error)
            durations.observe(monotonic() - began)

    def _asked(self, model: str, sampling: Sampling) -> Attributes:
        return {
            **self._attributes,
            "gen_ai.request.model": model,
            "gen_ai.request.max_tokens": sampling.max_tokens,
            "gen_ai.request.temperature": sampling.temperature,
        }


def address(url: str) -> Attributes:
    """Where a server listens, as the conventions say it."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {"server.address": parts.hostname or "", "server.port": port}
