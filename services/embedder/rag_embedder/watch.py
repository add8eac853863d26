"""Spans and metrics of the queue in front of the model and of the batches that it computes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from rag_common import tracing
from rag_common.tracing import Attributes, Span
from rag_embedder.batching import Policy, Priority
from rag_embedder.instruments import Instruments
from rag_embedder.observation import Asked, Batch

# A request is in many batches where many ask at once: more spans than these say nothing more.
_MOST_SPANS = 8

_NAMES = {priority.value: priority.name.lower() for priority in Priority}


class Load(Protocol):
    """How much a scheduler has to do."""

    @property
    def busy(self) -> int: ...

    @property
    def tokens(self) -> int: ...

    @property
    def oldest_seconds(self) -> float: ...

    def waiting(self, priority: Priority) -> int: ...


def show(instruments: Instruments, load: Load, policy: Policy) -> None:
    """Let the gauges say how much there is to do, whenever somebody looks."""
    for priority in Priority:
        gauge = instruments.queue_texts.labels(_NAMES[priority])
        gauge.set_function(partial(load.waiting, priority))
    instruments.queue_tokens.set_function(lambda: load.tokens)
    instruments.queue_oldest.set_function(lambda: load.oldest_seconds)
    instruments.queue_capacity.set(policy.queue_texts)
    instruments.lanes.set(policy.lanes)
    instruments.lanes_busy.set_function(lambda: load.busy)


class Watch:
    """An observer of a scheduler.

    A request has one span for its time in the queue. Batches that hold nothing but its own texts
    are one span together, however many. A batch that holds several requests' texts is a span of
    the first of them, linked to the others', and their spans in the queue are linked to it.
    """

    def __init__(self, instruments: Instruments, model: str) -> None:
        self._instruments = instruments
        # Looked up once: this is done for each text.
        self._waits = {value: instruments.waits.labels(name) for value, name in _NAMES.items()}
        self._texts = {value: instruments.texts.labels(name) for value, name in _NAMES.items()}
        self._tokens = {value: instruments.tokens.labels(name) for value, name in _NAMES.items()}
        self._facts: Attributes = {
            "gen_ai.operation.name": "embeddings",
            "gen_ai.request.model": model,
        }

    def came(self, asked: Asked) -> None:
        asked.note = _Followed(tracing.current())

    def ran(self, batch: Batch) -> None:
        followed = {asked.note: None for asked, _ in batch.texts}
        owner = next((one for one in followed if one.span.recording), None)
        with tracing.inside(owner.span if owner else tracing.SILENT):
            self._count(batch)
        if owner is None:
            return
        if len(followed) > 1:
            self._share(owner, [one for one in followed if one is not owner], batch)
            return
        owner.own.add(batch)

    def went(self, asked: Asked, waited: float, error: BaseException | None) -> None:
        self._waits[asked.priority].observe(waited)
        followed: _Followed = asked.note
        if not followed.span.recording:
            return
        _tell_queue(asked, followed, waited, error)
        if error and asked.began and not followed.own.batches:
            self._tell_left(asked, followed.span, error)
        elif followed.own.batches:
            self._tell_own(followed)

    def _count(self, batch: Batch) -> None:
        counts = self._instruments
        counts.batch_texts.observe(len(batch.texts))
        counts.batch_tokens.observe(sum(tokens for _, tokens in batch.texts))
        counts.batch_seconds.observe(batch.ended - batch.began)
        if batch.error:
            return
        for asked, tokens in batch.texts:
            self._texts[asked.priority].inc()
            self._tokens[asked.priority].inc(tokens)

    def _share(self, owner: "_Followed", others: Sequence["_Followed"], batch: Batch) -> None:
        if owner.shared >= _MOST_SPANS:
            return
        owner.shared += 1
        own = _Own()
        own.add(batch)
        attributes = {**self._facts, **own.attributes, "rag.requests": 1 + len(others)}
        spans = [other.span for other in others]
        made = _made(owner.span, own, attributes, links=spans)
        for other in others:
            if len(other.batches) < _MOST_SPANS:
                other.batches.append(made)

    def _tell_own(self, followed: "_Followed") -> None:
        _made(followed.span, followed.own, {**self._facts, **followed.own.attributes})

    def _tell_left(self, asked: Asked, span: Span, error: BaseException) -> None:
        """The batch that the request did not wait for: it goes on, and ends in nobody's span."""
        facts = {**self._facts, "rag.texts": asked.texts, "rag.tokens": asked.tokens}
        made = span.child("embed.batch", attributes=facts, began=asked.began)
        made.fail(tracing.reason(error))
        made.end()


@dataclass(slots=True)
class _Own:
    """Batches that are one span: from the first one's beginning to the last one's end."""

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
        """What the span says; `rag.compute_seconds` is of all lanes together."""
        return {
            "rag.batches": self.batches,
            "rag.texts": self.texts,
            "rag.tokens": self.tokens,
            "rag.compute_seconds": self.seconds,
        }


@dataclass(slots=True, eq=False)
class _Followed:
    """A request's span, and what is to be told when the request goes."""

    span: Span
    own: _Own = field(default_factory=_Own)
    shared: int = 0
    batches: list[Span] = field(default_factory=list)


def _tell_queue(
    asked: Asked, followed: _Followed, waited: float, error: BaseException | None
) -> None:
    attributes: Attributes = {
        "rag.priority": _NAMES[asked.priority],
        "rag.texts": asked.texts,
        "rag.tokens": asked.tokens,
        "rag.longest_wait_seconds": waited,
    }
    made = followed.span.child(
        "embed.queue", attributes=attributes, began=asked.queued, links=followed.batches
    )
    if error and asked.began is None:
        made.fail(tracing.reason(error))
    made.end(asked.began)


def _made(parent: Span, own: _Own, attributes: Attributes, links: Sequence[Span] = ()) -> Span:
    made = parent.child("embed.batch", attributes=attributes, began=own.began, links=links)
    if own.error:
        made.fail(tracing.reason(own.error))
    made.end(own.ended)
    return made
