"""Records each search, answer and ingested document in the metrics and in the call's span."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry import trace

from rag.types.v1.grounding_pb2 import SkippedReason
from rag_common.context import Call, Principal
from rag_common.observability import tracing
from rag_common.observability.redaction import redact
from rag_contract import errors
from rag_gateway.answering.model import Question, Retrieval
from rag_gateway.answering.service import AnswerResult, GeneratedAnswer, SearchResult
from rag_gateway.telemetry.metrics import GatewayMetrics

# Shorter waits, in seconds, get no span of their own.
_MIN_QUEUE_SECONDS = 0.001
_MAX_CAPTURED_CHARACTERS = 4000


@dataclass(slots=True)
class IngestObservation:
    """What is known of an ingestion: its time begins when all content has arrived, not with a slow upload."""

    arrived: float | None = None
    size: int = 0
    outcome: str = "failed"
    passages: int | None = None

    def received(self, size: int) -> None:
        """All bytes of the document have arrived."""
        self.arrived, self.size = time.monotonic(), size

    def finished(self, outcome: str, passages: int) -> None:
        """The document is stored, or was left unchanged."""
        self.outcome, self.passages = outcome, passages


class AnswerRecorder:
    """Records outcomes, durations and usage. `tier` returns the name of a caller's quota tier.

    With `capture`, spans hold the redacted texts of questions and answers; otherwise no text.
    """

    def __init__(
        self, metrics: GatewayMetrics, tier: Callable[[Principal], str], *, capture: bool
    ) -> None:
        self._metrics = metrics
        self._tier = tier
        self._capture = capture

    def record_search(self, query: str, result: SearchResult, options: Retrieval) -> None:
        """Record a successful search."""
        self._record_retrieval(result, options)
        self._record_stages(result)
        self._captured("rag.question", query)
        span = trace.get_current_span()
        if span.is_recording():
            span.set_attributes(_search_attributes(result))

    def record_answer(self, question: Question, result: AnswerResult, by: Principal) -> None:
        """Record a successful answer."""
        if isinstance(question.sources, Retrieval):
            self._record_retrieval(result.search, question.sources)
        self._record_stages(result.search)
        self._record_generation(result.answer, self._tier(by))
        self._captured("rag.question", question.text)
        self._captured("rag.answer", result.answer.text)
        span = trace.get_current_span()
        if span.is_recording():
            span.set_attributes(
                {**_search_attributes(result.search), **_answer_attributes(result.answer)}
            )

    @contextmanager
    def counting_failures(self) -> Iterator[None]:
        """Count an answer as failed if the block raises."""
        try:
            yield
        except Exception:
            self._metrics.answers.labels("failed").inc()
            raise

    def record_first_event(self, call: Call) -> None:
        """Record the time until a stream's first event with content."""
        self._metrics.first_event.observe(time.monotonic() - call.started)
        trace.get_current_span().add_event("first_event")

    def record_first_token(self, call: Call) -> None:
        """Record the time until a stream's first text."""
        self._metrics.first_token.observe(time.monotonic() - call.started)
        trace.get_current_span().add_event("first_token")

    def record_incomplete(self, reason: str) -> None:
        """Mark the span as failed: the answer is incomplete, although the call ends with status OK."""
        tracing.fail(trace.get_current_span(), reason)

    def record_end(self) -> None:
        """Record that a stream has sent its last event."""
        trace.get_current_span().add_event("end")

    @contextmanager
    def ingesting(self) -> Iterator["IngestObservation"]:
        """Observe the ingestion of a document within the block."""
        observation = IngestObservation()
        try:
            yield observation
        except (errors.InvalidArgument, errors.MessageTooLarge):
            # The caller's mistakes are quick: counted with the others they would lower the durations.
            observation.outcome = "refused"
            raise
        finally:
            self._record_ingestion(observation)

    def _record_ingestion(self, observation: "IngestObservation") -> None:
        if observation.arrived is None:
            return
        seconds = time.monotonic() - observation.arrived
        self._metrics.ingests.labels(observation.outcome).observe(seconds)
        if observation.passages is not None:
            self._metrics.ingest_bytes.inc(observation.size)
            self._metrics.ingest_chunks.inc(observation.passages)

    def _record_retrieval(self, result: SearchResult, options: Retrieval) -> None:
        timings = result.timings
        outcome = "found" if result.passages else "empty"
        self._metrics.searches.labels(_mode(options), outcome).inc()
        self._metrics.passages.observe(len(result.passages))
        if result.passages and result.passages[0].evidence.HasField("score"):
            self._metrics.top_score.observe(result.passages[0].evidence.score)
        queued = timings.seconds.get("queue", 0.0)
        if queued >= _MIN_QUEUE_SECONDS:
            waiting = tracing.start_span("queue", start=timings.started)
            waiting.end(tracing.nanoseconds(timings.started + queued))

    def _record_stages(self, result: SearchResult) -> None:
        for stage, seconds in result.timings.seconds.items():
            self._metrics.stages.labels(stage).observe(seconds)
        for part in result.provenance.degraded:
            self._metrics.degraded.labels(part).inc()

    def _record_generation(self, answer: GeneratedAnswer, tier: str) -> None:
        metrics = self._metrics
        metrics.answers.labels(_outcome(answer)).inc()
        if answer.confidence is not None:
            metrics.confidence.observe(answer.confidence)
        if answer.grounding.claims:
            metrics.groundedness.observe(answer.grounding.score)
        usage = answer.usage
        metrics.answer_tokens.labels(answer.model, "input").inc(usage.input_tokens)
        metrics.answer_tokens.labels(answer.model, "output").inc(usage.output_tokens)
        metrics.tokens_spent.labels(tier).inc(usage.input_tokens + usage.output_tokens)

    def _captured(self, name: str, text: str) -> None:
        span = trace.get_current_span()
        if self._capture and span.is_recording():
            # Redacted before it is truncated: half of a number would not be recognised.
            span.set_attribute(name, redact(text)[:_MAX_CAPTURED_CHARACTERS])


def _search_attributes(result: SearchResult) -> dict[str, tracing.Value]:
    attributes: dict[str, tracing.Value] = {
        "rag.passages": len(result.passages),
        "rag.degraded": ",".join(result.provenance.degraded),
        "rag.embedding_fingerprint": result.provenance.fingerprint,
    }
    if result.passages:
        attributes["rag.top_score"] = result.passages[0].evidence.score
    return attributes


def _answer_attributes(answer: GeneratedAnswer) -> dict[str, tracing.Value]:
    attributes: dict[str, tracing.Value] = {
        "rag.outcome": _outcome(answer),
        "rag.groundedness": answer.grounding.score,
        "rag.citations": len(answer.citations),
        "gen_ai.response.model": answer.model,
        "gen_ai.usage.input_tokens": answer.usage.input_tokens,
        "gen_ai.usage.output_tokens": answer.usage.output_tokens,
    }
    if answer.confidence is not None:
        attributes["rag.confidence"] = answer.confidence
    return attributes


def _outcome(answer: GeneratedAnswer) -> str:
    if answer.cut_short:
        return "cut_short"
    skipped: str = SkippedReason.Name(answer.skipped_reason)
    name = skipped.removeprefix("SKIPPED_REASON_").lower()
    return "answered" if name == "unspecified" else name


def _mode(options: Retrieval) -> str:
    if options.dense and options.sparse:
        return "hybrid"
    return "dense" if options.dense else "sparse"
