"""Wraps any engine's catalog and indexes to record a span and a duration metric for each call."""

from collections.abc import Awaitable, Sequence
from time import monotonic
from typing import TypeVar

from opentelemetry.trace import SpanKind
from prometheus_client import Histogram

from rag_common.observability import tracing
from rag_common.observability.tracing import Attributes
from rag_contract import errors
from rag_retriever.index.filters import Scope
from rag_retriever.index.model import (
    Candidates,
    Document,
    DocumentKey,
    Passage,
    Query,
    SparseVector,
    VectorChunk,
)
from rag_retriever.index.ports import Catalog, Index, IndexInfo, IndexSpec, IndexStats, Published

_T = TypeVar("_T")

_SYSTEM = "qdrant"
_ANSWERS = (errors.InvalidArgument, errors.NotFound, errors.FailedPrecondition, errors.Aborted)
# Creating a span costs more than a faster call; such calls get one only if they are slower or fail.
_DETAIL_SECONDS = 0.005


class _Timing:
    """Times calls to the engine. Spans contain only the operation, the index and counts."""

    def __init__(self, seconds: Histogram) -> None:
        self._seconds = seconds

    async def run(
        self,
        operation: str,
        index: str,
        call: Awaitable[_T],
        facts: Attributes | None = None,
        *,
        min_seconds: float = 0.0,
    ) -> _T:
        """The call's result; records a span if it took at least `min_seconds` or failed."""
        began, error = monotonic(), ""
        try:
            return await call
        except BaseException as raised:
            error = _reason(raised)
            raise
        finally:
            seconds = monotonic() - began
            self._seconds.labels(_SYSTEM, operation, error).observe(seconds)
            if error or seconds >= min_seconds:
                _tell(operation, index, began, facts, error)


class InstrumentedIndex:
    """An index that records a span and a duration for each call."""

    def __init__(self, index: Index, timing: _Timing) -> None:
        self._index = index
        self._name = index.spec.name
        self._timing = timing

    @property
    def spec(self) -> IndexSpec:
        return self._index.spec

    @property
    def version(self) -> str:
        return self._index.version

    async def candidates(self, scope: Scope, query: Query, limit: int) -> Candidates:
        call = self._index.candidates(scope, query, limit)
        facts = {"rag.limit": limit}
        return await self._timing.run("query_points", self._name, call, facts)

    async def passages(self, scope: Scope, ids: Sequence[str]) -> list[Passage]:
        call = self._index.passages(scope, ids)
        return await self._timing.run("retrieve", self._name, call, {"rag.points": len(ids)})

    async def sparse_vectors(self, scope: Scope, ids: Sequence[str]) -> dict[str, SparseVector]:
        """Records a span only if it is slow: it is a step of a search."""
        call, facts = self._index.sparse_vectors(scope, ids), {"rag.points": len(ids)}
        run = self._timing.run
        return await run("retrieve_vectors", self._name, call, facts, min_seconds=_DETAIL_SECONDS)

    async def stage(self, document: Document, chunks: Sequence[VectorChunk]) -> None:
        call = self._index.stage(document, chunks)
        await self._timing.run("upsert", self._name, call, {"rag.points": len(chunks)})

    async def publish(self, document: Document) -> Published:
        facts = {"rag.points": document.passage_count}
        return await self._timing.run("publish", self._name, self._index.publish(document), facts)

    async def discard(self, document: Document) -> None:
        await self._timing.run("discard", self._name, self._index.discard(document))

    async def delete(self, key: DocumentKey) -> int | None:
        return await self._timing.run("delete", self._name, self._index.delete(key))

    async def document(self, key: DocumentKey) -> Document | None:
        call = self._index.document(key)
        return await self._timing.run("get_document", self._name, call, min_seconds=_DETAIL_SECONDS)

    async def documents(self, scope: Scope, after: str, limit: int) -> tuple[list[Document], str]:
        call = self._index.documents(scope, after, limit)
        return await self._timing.run("scroll", self._name, call, {"rag.limit": limit})

    async def chunks(self, key: DocumentKey, first: int, limit: int) -> list[Passage]:
        call = self._index.chunks(key, first, limit)
        return await self._timing.run("retrieve", self._name, call, {"rag.points": limit})

    async def count(self, scope: Scope) -> tuple[int, int]:
        return await self._timing.run("count", self._name, self._index.count(scope))

    async def existing_collections(self, tenant: str, collections: Sequence[str]) -> set[str]:
        """Records a span only if it is slow: it is a step of a search."""
        call = self._index.existing_collections(tenant, collections)
        facts = {"rag.collections": len(collections)}
        run = self._timing.run
        return await run("find_collections", self._name, call, facts, min_seconds=_DETAIL_SECONDS)


class InstrumentedCatalog:
    """A catalog that records a span and a duration for each of its calls and of its indexes' calls."""

    def __init__(self, catalog: Catalog, seconds: Histogram) -> None:
        self._catalog = catalog
        self._timing = _Timing(seconds)

    async def create(self, spec: IndexSpec) -> IndexInfo:
        call = self._catalog.create(spec)
        return await self._timing.run("create_collection", spec.name, call)

    async def open(self, name: str, max_age: float = 0.0) -> Index:
        call = self._catalog.open(name, max_age)
        index = await self._timing.run("open", "", call, min_seconds=_DETAIL_SECONDS)
        return InstrumentedIndex(index, self._timing)

    async def describe(self, name: str) -> IndexInfo:
        return await self._timing.run("get_collection", "", self._catalog.describe(name))

    async def list_indexes(self) -> list[IndexInfo]:
        return await self._timing.run("get_collections", "", self._catalog.list_indexes())

    async def stats(self, name: str) -> IndexStats:
        return await self._timing.run("facet", name, self._catalog.stats(name))

    async def drift(self, name: str) -> int | None:
        """Not timed: the scan includes pauses, so its duration does not reflect the engine."""
        return await self._catalog.drift(name)

    async def optimize(self, name: str) -> IndexInfo:
        """Not timed here: it has its own trace and histogram."""
        return await self._catalog.optimize(name)

    async def switch(self, name: str) -> IndexInfo:
        return await self._timing.run("update_aliases", "", self._catalog.switch(name))

    async def drop(self, name: str) -> None:
        await self._timing.run("delete_collection", "", self._catalog.drop(name))


def _tell(operation: str, index: str, began: float, facts: Attributes | None, error: str) -> None:
    attributes: Attributes = {
        "db.system.name": _SYSTEM,
        "db.operation.name": operation,
        **({"db.collection.name": index} if index else {}),
        **(facts or {}),
    }
    made = tracing.start_span(operation, SpanKind.CLIENT, attributes, start=began)
    if error:
        tracing.fail(made, error)
    made.end()


def _reason(error: BaseException) -> str:
    """The error type for the metric; empty for errors that the caller caused, such as an unknown index."""
    return "" if isinstance(error, _ANSWERS) else tracing.reason(error)
