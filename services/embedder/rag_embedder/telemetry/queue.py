"""Spans and metrics of the queue in front of the model and of the batches that it computes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context, get_current
from opentelemetry.trace import INVALID_SPAN, Span

from rag_common.observability import tracing
from rag_common.observability.tracing import Attributes
from rag_embedder.queue.events import Batch, RequestInfo
from rag_embedder.queue.scheduler import Policy, Priority, Scheduler
from rag_embedder.telemetry.metrics import EmbedderMetrics

# Limit of spans of shared batches per request: a request may be in many, and more add nothing.
_MAX_SPANS = 8

_NAMES = {priority.value: priority.name.lower() for priority in Priority}


def register_gauges(
    instruments: EmbedderMetrics, scheduler: Scheduler[Any], policy: Policy
) -> None:
    """Let the gauges read the scheduler's state whenever they are scraped."""
    for priority in Priority:
        gauge = instruments.queue_texts.labels(_NAMES[priority])
        gauge.set_function(partial(scheduler.waiting, priority))
    instruments.queue_tokens.set_function(lambda: scheduler.tokens)
    instruments.queue_oldest.set_function(lambda: scheduler.oldest_seconds)
    instruments.queue_capacity.set(policy.queue_texts)
    instruments.lanes.set(policy.lanes)
    instruments.lanes_busy.set_function(lambda: scheduler.busy)


class QueueInstrumentation:
    """An observer of a scheduler that records spans and metrics.

    A request has one span for its time in the queue. All batches that contain only its own texts
    share one span. A batch with texts of several requests is a span of the first recorded one,
    linked to the spans of the others; their queue spans are linked to it.
    """

    def __init__(self, instruments: EmbedderMetrics, model: str) -> None:
        self._instruments = instruments
        # Looked up once, because they are used for each text.
        self._waits = {value: instruments.waits.labels(name) for value, name in _NAMES.items()}
        self._texts = {value: instruments.texts.labels(name) for value, name in _NAMES.items()}
        self._tokens = {value: instruments.tokens.labels(name) for value, name in _NAMES.items()}
        self._facts: Attributes = {
            "gen_ai.operation.name": "embeddings",
            "gen_ai.request.model": model,
        }

    def on_enqueue(self, asked: RequestInfo) -> None:
        asked.note = _Followed(trace.get_current_span(), get_current())

    def on_batch(self, batch: Batch) -> None:
        followed = {info.note: None for info, _ in batch.texts}
        owner = next((one for one in followed if one.span.is_recording()), None)
        with tracing.use_span(owner.span if owner else INVALID_SPAN):
            self._count(batch)
        if owner is None:
            return
        if len(followed) > 1:
            self._record_shared(owner, [one for one in followed if one is not owner], batch)
            return
        owner.own.add(batch)

    def on_done(self, info: RequestInfo, waited: float, error: BaseException | None) -> None:
        self._waits[info.priority].observe(waited)
        followed: _Followed = info.note
        if not followed.span.is_recording():
            return
        _record_queue_span(info, followed, waited, error)
        if error and info.began and not followed.own.batches:
            self._record_abandoned(info, followed, error)
        elif followed.own.batches:
            self._record_own_batches(followed)

    def _count(self, batch: Batch) -> None:
        metrics = self._instruments
        metrics.batch_texts.observe(len(batch.texts))
        metrics.batch_tokens.observe(sum(tokens for _, tokens in batch.texts))
        metrics.batch_seconds.observe(batch.ended - batch.began)
        if batch.error:
            return
        for info, tokens in batch.texts:
            self._texts[info.priority].inc()
            self._tokens[info.priority].inc(tokens)

    def _record_shared(
        self, owner: "_Followed", others: Sequence["_Followed"], batch: Batch
    ) -> None:
        if owner.shared >= _MAX_SPANS:
            return
        owner.shared += 1
        own = _Own()
        own.add(batch)
        attributes = {**self._facts, **own.attributes, "rag.requests": 1 + len(others)}
        spans = [other.span for other in others]
        made = _made(owner.context, own, attributes, links=spans)
        for other in others:
            if len(other.batches) < _MAX_SPANS:
                other.batches.append(made)

    def _record_own_batches(self, followed: "_Followed") -> None:
        _made(followed.context, followed.own, {**self._facts, **followed.own.attributes})

    def _record_abandoned(
        self, info: RequestInfo, followed: "_Followed", error: BaseException
    ) -> None:
        """Record the batch that a cancelled request has left running."""
        facts = {**self._facts, "rag.texts": info.texts, "rag.tokens": info.tokens}
        made = tracing.start_span(
            "embed.batch", attributes=facts, context=followed.context, start=info.began
        )
        tracing.fail(made, tracing.reason(error))
        made.end()


@dataclass(slots=True)
class _Own:
    """Batches that share one span, from the start of the first to the end of the last."""

    began: float = 0.0
    ended: float = 0.0
    batches: int = 0
    texts: int = 0
    tokens: int = 0
    seconds: float = 0.0
    error: Exception | None = None

    def add(self, batch: Batch) -> None:
        self.began = min(self.began, batch.began) if self.batches else batch.began
        self.ended = max(self.ended, batch.ended)
        self.batches += 1
        self.texts += len(batch.texts)
        self.tokens += sum(tokens for _, tokens in batch.texts)
        self.seconds += batch.ended - batch.began
        self.error = self.error or batch.error

    @property
    def attributes(self) -> Attributes:
        """The span's attributes; `rag.compute_seconds` is the sum over all lanes."""
        return {
            "rag.batches": self.batches,
            "rag.texts": self.texts,
            "rag.tokens": self.tokens,
            "rag.compute_seconds": self.seconds,
        }


@dataclass(slots=True, eq=False)
class _Followed:
    """The span of a request, and what is recorded when the request ends."""

    span: Span
    context: Context
    own: _Own = field(default_factory=_Own)
    shared: int = 0
    batches: list[Span] = field(default_factory=list)


def _record_queue_span(
    info: RequestInfo, followed: _Followed, waited: float, error: BaseException | None
) -> None:
    attributes: Attributes = {
        "rag.priority": _NAMES[info.priority],
        "rag.texts": info.texts,
        "rag.tokens": info.tokens,
        "rag.longest_wait_seconds": waited,
    }
    made = tracing.start_span(
        "embed.queue",
        attributes=attributes,
        context=followed.context,
        start=info.queued,
        links=followed.batches,
    )
    if error and info.began is None:
        tracing.fail(made, tracing.reason(error))
    made.end(None if info.began is None else tracing.nanoseconds(info.began))


def _made(context: Context, own: _Own, attributes: Attributes, links: Sequence[Span] = ()) -> Span:
    made = tracing.start_span(
        "embed.batch", attributes=attributes, context=context, start=own.began, links=links
    )
    if own.error:
        tracing.fail(made, tracing.reason(own.error))
    made.end(tracing.nanoseconds(own.ended))
    return made
