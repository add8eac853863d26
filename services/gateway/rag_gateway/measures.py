"""What is told of each search and answer: to the metrics, and to the span of the call."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rag.types.v1.grounding_pb2 import SkippedReason
from rag_common import errors, tracing
from rag_common.context import Call, Principal
from rag_common.redaction import redacted
from rag_gateway.core import Answered, Found, Written
from rag_gateway.ingestion import Ingested
from rag_gateway.instruments import Instruments
from rag_gateway.question import Question, Retrieval

# A shorter wait for a turn is no span of its own.
_LEAST_QUEUE = 0.001
_MOST_CAPTURED = 4000


class Measures:
    """Tells what happened. `tier` names a caller's tier of limits.

    With `capture`, spans hold question and answer, redacted; otherwise no words at all.
    """

    def __init__(
        self, instruments: Instruments, tier: Callable[[Principal], str], *, capture: bool
    ) -> None:
        self._instruments = instruments
        self._tier = tier
        self._capture = capture

    def searched(self, query: str, found: Found, options: Retrieval) -> None:
        """A search has ended well."""
        self._found(found, options)
        self._stages(found)
        self._captured("rag.question", query)
        span = tracing.current()
        if span.recording:
            span.describe(_of_search(found))

    def answered(self, question: Question, answered: Answered, by: Principal) -> None:
        """An answer has ended well."""
        written, found = answered.written, answered.found
        if isinstance(question.sources, Retrieval):
            self._found(found, question.sources)
        self._stages(found)
        self._written(written, self._tier(by))
        self._captured("rag.question", question.text)
        self._captured("rag.answer", written.text)
        span = tracing.current()
        if span.recording:
            span.describe({**_of_search(found), **_of_answer(written)})

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Count an answer that fails inside."""
        try:
            yield
        except Exception:
            self._instruments.answers.labels("failed").inc()
            raise

    def first_event(self, call: Call) -> None:
        """A stream has sent its first content."""
        self._instruments.first_event.observe(time.monotonic() - call.started)
        tracing.current().event("first_event")

    def first_words(self, call: Call) -> None:
        """A stream has sent its first words."""
        self._instruments.first_token.observe(time.monotonic() - call.started)
        tracing.current().event("first_token")

    def broken(self, reason: str) -> None:
        """A stream ends after its first words, and its call well: its span is failed all the same."""
        tracing.current().fail(reason)

    def ended(self) -> None:
        """A stream has sent its last event."""
        tracing.current().event("end")

    @contextmanager
    def ingesting(self, size: int) -> Iterator[Callable[[Ingested], None]]:
        """Time a document; the block is given what to tell of it once it is taken in."""
        began = time.monotonic()
        outcome = "failed"

        def done(ingested: Ingested) -> None:
            nonlocal outcome
            outcome = ingested.outcome.value
            self._instruments.ingest_bytes.inc(size)
            self._instruments.ingest_chunks.inc(ingested.document.passage_count)

        try:
            yield done
        except (errors.InvalidArgument, errors.MessageTooLarge):
            # No fault of ours, and soon said: it would flatter the others.
            outcome = "refused"
            raise
        finally:
            self._instruments.ingests.labels(outcome).observe(time.monotonic() - began)

    def _found(self, found: Found, options: Retrieval) -> None:
        journey = found.journey
        outcome = "found" if found.passages else "empty"
        self._instruments.searches.labels(_mode(options), outcome).inc()
        self._instruments.passages.observe(len(found.passages))
        if found.passages and found.passages[0].evidence.HasField("score"):
            self._instruments.top_score.observe(found.passages[0].evidence.score)
        queued = journey.seconds.get("queue", 0.0)
        if queued >= _LEAST_QUEUE:
            waiting = tracing.current().child("queue", began=journey.started)
            if waiting.recording:
                waiting.end(journey.started + queued)

    def _stages(self, found: Found) -> None:
        for stage, seconds in found.journey.seconds.items():
            self._instruments.stages.labels(stage).observe(seconds)
        for part in found.journey.degraded:
            self._instruments.degraded.labels(part).inc()

    def _written(self, written: Written, tier: str) -> None:
        told = self._instruments
        told.answers.labels(_outcome(written)).inc()
        if written.confidence is not None:
            told.confidence.observe(written.confidence)
        if written.grounding.claims:
            told.groundedness.observe(written.grounding.score)
        usage = written.usage
        told.answer_tokens.labels(written.model, "input").inc(usage.input_tokens)
        told.answer_tokens.labels(written.model, "output").inc(usage.output_tokens)
        told.tokens_spent.labels(tier).inc(usage.input_tokens + usage.output_tokens)

    def _captured(self, name: str, text: str) -> None:
        span = tracing.current()
        if self._capture and span.recording:
            # Redacted before it is cut: half a number would not be known for one.
            span.set(name, redacted(text)[:_MOST_CAPTURED])


def _of_search(found: Found) -> dict[str, tracing.Value]:
    journey = found.journey
    told: dict[str, tracing.Value] = {
        "rag.passages": len(found.passages),
        "rag.degraded": _listed(journey.degraded),
        "rag.embedding_fingerprint": journey.fingerprint,
    }
    if found.passages:
        told["rag.top_score"] = found.passages[0].evidence.score
    return told


def _of_answer(written: Written) -> dict[str, tracing.Value]:
    told: dict[str, tracing.Value] = {
        "rag.outcome": _outcome(written),
        "rag.groundedness": written.grounding.score,
        "rag.citations": len(written.citations),
        "gen_ai.response.model": written.model,
        "gen_ai.usage.input_tokens": written.usage.input_tokens,
        "gen_ai.usage.output_tokens": written.usage.output_tokens,
    }
    if written.confidence is not None:
        told["rag.confidence"] = written.confidence
    return told


def _listed(names: Sequence[str]) -> str:
    return ",".join(names)


def _outcome(written: Written) -> str:
    if written.cut_short:
        return "cut_short"
    skipped: str = SkippedReason.Name(written.skipped_reason)
    name = skipped.removeprefix("SKIPPED_REASON_").lower()
    return "answered" if name == "unspecified" else name


def _mode(options: Retrieval) -> str:
    if options.dense and options.sparse:
        return "hybrid"
    return "dense" if options.dense else "sparse"
