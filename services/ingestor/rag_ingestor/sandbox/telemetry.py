"""Spans and metrics of splitting a document: one span for the call, one for the worker's work."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from opentelemetry.trace import Span

from rag_common.observability import tracing
from rag_contract import errors
from rag_ingestor.chunking.chunks import SourceFile, Split
from rag_ingestor.parsing.parse import IMAGE_TYPES, MEDIA_TYPES
from rag_ingestor.sandbox.process import WorkerProcess
from rag_ingestor.telemetry.metrics import IngestorMetrics

# A compromised worker may return any text: only these values become metric labels.
_MEDIA_TYPES = frozenset(MEDIA_TYPES + IMAGE_TYPES)
_UNKNOWN = "unknown"


class SplitObservation:
    """The observation of splitting one document; `split` is its result, None until it succeeds."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.split: Split | None = None

    @property
    def media_type(self) -> str:
        """The document's detected media type, `unknown` if it was not parsed."""
        known = self.split and self.split.media_type in _MEDIA_TYPES
        return self.split.media_type if self.split and known else _UNKNOWN

    def record_wait(self, seconds: float) -> None:
        """Record the seconds that the document waited for a worker."""
        self.span.set_attribute("rag.wait_seconds", seconds)


@contextmanager
def observe_split(file: SourceFile, metrics: IngestorMetrics) -> Iterator[SplitObservation]:
    """Observe splitting a file within the block; the span contains no content of the document."""
    started, outcome = monotonic(), "ok"
    with tracing.span("split", attributes={"rag.bytes": len(file.content)}) as span:
        observation = SplitObservation(span)
        try:
            yield observation
        except BaseException as error:
            outcome = _outcome(error)
            raise
        finally:
            seconds = monotonic() - started
            labels = (observation.media_type, outcome)
            metrics.split_seconds.labels(*labels).observe(seconds)
            span.set_attribute("rag.media_type", observation.media_type)
            span.set_attribute("rag.outcome", outcome)
            span.set_attribute(
                "rag.chunks", len(observation.split.chunks) if observation.split else 0
            )


@contextmanager
def traced_work(worker: WorkerProcess) -> Iterator[None]:
    """A span for the worker's request within the block; `rag.worker_seconds` excludes the transfer."""
    started = monotonic()
    facts = {"rag.worker_pid": worker.pid, "rag.worker_documents": worker.answered}
    with tracing.span("parse", attributes=facts) as span:
        yield
        span.set_attribute(
            "rag.worker_seconds", _plausible(worker.reported_seconds, monotonic() - started)
        )


def _plausible(reported: float, measured: float) -> float:
    """The reported duration if it is between 0 and the measured one, else the measured one."""
    return reported if 0 <= reported <= measured else measured


def _outcome(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    if isinstance(error, errors.InvalidArgument):
        return "refused"
    return "overloaded" if isinstance(error, errors.Overloaded) else "failed"
