"""What splitting a document tells: a span for the whole, one for each worker's work, and metrics."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from rag_common import errors, tracing
from rag_common.tracing import Span
from rag_retriever.adapters.process import WorkerProcess
from rag_retriever.formats.parsed import DOCX, HTML, MARKDOWN, PDF, PLAIN
from rag_retriever.instruments import Instruments
from rag_retriever.splitting import Document, Split

# A worker that a document has taken over may answer anything: only these become labels.
_MEDIA_TYPES = frozenset({DOCX, HTML, MARKDOWN, PDF, PLAIN})
_UNKNOWN = "unknown"


class Splitting:
    """One document's way; `split` is set when it has come to its end."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.split: Split | None = None

    @property
    def media_type(self) -> str:
        """What the document was found to be, `unknown` where it was not read."""
        known = self.split and self.split.media_type in _MEDIA_TYPES
        return self.split.media_type if self.split and known else _UNKNOWN

    def began(self, seconds: float) -> None:
        """Its turn for a worker has come after so many seconds."""
        self.span.set("rag.wait_seconds", seconds)


@contextmanager
def observed(document: Document, instruments: Instruments) -> Iterator[Splitting]:
    """Split inside; the span says sizes and kinds, and nothing that is in the document."""
    began, outcome = monotonic(), "ok"
    with tracing.span("split", attributes={"rag.bytes": len(document.content)}) as span:
        splitting = Splitting(span)
        try:
            yield splitting
        except BaseException as error:
            outcome = _outcome(error)
            raise
        finally:
            seconds = monotonic() - began
            labels = (splitting.media_type, outcome)
            instruments.split_seconds.labels(*labels).observe(seconds)
            span.set("rag.media_type", splitting.media_type)
            span.set("rag.outcome", outcome)
            span.set("rag.chunks", len(splitting.split.chunks) if splitting.split else 0)


@contextmanager
def worked(worker: WorkerProcess) -> Iterator[None]:
    """Ask the worker inside; `rag.worker_seconds` is what it says it took, without the way to it."""
    began = monotonic()
    facts = {"rag.worker_pid": worker.pid, "rag.worker_documents": worker.answered}
    with tracing.span("parse", attributes=facts) as span:
        yield
        span.set("rag.worker_seconds", _plausible(worker.worked, monotonic() - began))


def _plausible(said: float, passed: float) -> float:
    """A worker cannot have worked for longer than it was waited for; NaN is no time."""
    return said if 0 <= said <= passed else passed


def _outcome(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    if isinstance(error, errors.InvalidArgument):
        return "refused"
    return "overloaded" if isinstance(error, errors.Overloaded) else "failed"
