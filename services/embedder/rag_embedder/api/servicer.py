"""The embedder's gRPC service: converts protobuf messages for the embedding service and back."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

from opentelemetry import trace
from opentelemetry.trace import Span

from rag.embedder.v1 import embedder_service_pb2 as pb
from rag.embedder.v1.embedder_service_pb2_grpc import EmbedderServiceServicer
from rag.types.v1 import vector_pb2
from rag_common.aio import cancel
from rag_common.context import CALL
from rag_common.grpc.types import Context
from rag_common.observability import tracing
from rag_contract import errors
from rag_contract.durations import set_seconds
from rag_embedder.embedding.service import Embedder, Embedding, EmbedOptions, EmbedResult

Item = TypeVar("Item")
Result = TypeVar("Result")
# Batches of a stream that are processed at the same time.
_CONCURRENCY = 2
# Batches of a stream that have spans of their own; later ones appear only in the stream's totals.
_MOST_SPANNED = 8

_REPRESENTATIONS = {
    pb.REPRESENTATION_UNSPECIFIED: (True, True),
    pb.REPRESENTATION_BOTH: (True, True),
    pb.REPRESENTATION_DENSE: (True, False),
    pb.REPRESENTATION_SPARSE: (False, True),
}


async def map_ordered(
    items: AsyncIterator[Item], work: Callable[[Item], Awaitable[Result]], concurrency: int
) -> AsyncGenerator[Result, None]:
    """Apply `work` to each item, up to `concurrency` at once, and yield the results in order.

    A result is yielded as soon as it and all before it are ready, without waiting for a later item:
    the sender of the items may wait for a result before it sends the next. Closing the generator
    cancels the work. Raises what `items` or `work` raises.
    """
    running: deque[asyncio.Future[Result]] = deque()
    upcoming: asyncio.Future[list[Item]] | None = asyncio.ensure_future(_next(items))
    try:
        while upcoming or running:
            accepted = upcoming if len(running) < concurrency else None
            awaited: list[asyncio.Future[Any] | None] = [accepted, *list(running)[:1]]
            await asyncio.wait(filter(None, awaited), return_when=asyncio.FIRST_COMPLETED)
            if accepted and accepted.done():
                running.extend(asyncio.ensure_future(work(item)) for item in accepted.result())
                upcoming = asyncio.ensure_future(_next(items)) if accepted.result() else None
            while running and running[0].done():
                yield running.popleft().result()
    finally:
        await cancel(*running, *([upcoming] if upcoming else []))


async def _next(items: AsyncIterator[Item]) -> list[Item]:
    """A list of the next item; an empty one at the end."""
    async for item in items:
        return [item]
    return []


class EmbedderServicer(EmbedderServiceServicer):
    """Converts messages; the `Embedder` does the work."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def Embed(self, request: pb.EmbedRequest, context: Context) -> pb.EmbedResponse:
        sums = _Sums(trace.get_current_span())
        response = await self._embed(request, sums)
        sums.record()
        return response

    async def EmbedStream(
        self,
        request_iterator: AsyncIterator[pb.EmbedStreamRequest],
        context: Context,
    ) -> AsyncIterator[pb.EmbedStreamResponse]:
        """Embeds two batches at a time, so that no lane is idle while one ends."""
        sums = _Sums(trace.get_current_span())

        async def work(request: pb.EmbedStreamRequest) -> pb.EmbedStreamResponse:
            with sums.next():
                return pb.EmbedStreamResponse(batch=await self._embed(request.batch, sums))

        try:
            async with aclosing(map_ordered(request_iterator, work, _CONCURRENCY)) as responses:
                async for response in responses:
                    yield response
        finally:
            sums.record()

    async def Rerank(self, request: pb.RerankRequest, context: Context) -> pb.RerankResponse:
        scores, model = await self._embedder.rerank(request.query, request.texts)
        return pb.RerankResponse(scores=scores, model=model)

    async def Tokenize(self, request: pb.TokenizeRequest, context: Context) -> pb.TokenizeResponse:
        pieces, ids, terms = await self._embedder.tokenize(request.text, _is_query(request.task))
        return pb.TokenizeResponse(tokens=pieces, token_ids=ids, terms=terms)

    async def GetModelInfo(
        self, request: pb.GetModelInfoRequest, context: Context
    ) -> pb.GetModelInfoResponse:
        engine = self._embedder.engine()
        manifest = engine.model.manifest
        return pb.GetModelInfoResponse(
            model=manifest.name,
            revision=manifest.revision,
            dimensions=manifest.dims,
            max_tokens=manifest.max_tokens,
            fingerprint=engine.model.fingerprint,
            runtime=manifest.runtime,
            precision=manifest.precision,
            reranker=engine.reranker.name if engine.reranker else "",
            analyzer=engine.analyzer,
        )

    async def _embed(self, request: pb.EmbedRequest, sums: "_Sums") -> pb.EmbedResponse:
        result = await self._embedder.embed(request.texts, _options(request))
        sums.add(result)
        return _response(result, _is_query(request.task))


@dataclass(slots=True)
class _Sums:
    """Totals of a call so far, for its span; times in seconds."""

    span: Span
    begun: int = 0
    texts: int = 0
    tokenize_seconds: float = 0.0
    queue_seconds: float = 0.0
    compute_seconds: float = 0.0

    def next(self) -> AbstractContextManager[Span]:
        """A context in which to embed the next batch of a stream."""
        self.begun += 1
        recorded = self.begun <= _MOST_SPANNED
        return tracing.use_span(self.span if recorded else tracing.unrecorded(self.span))

    def add(self, result: EmbedResult) -> None:
        self.texts += len(result.embeddings)
        self.tokenize_seconds += result.tokenize_seconds
        self.queue_seconds += result.queue_seconds
        self.compute_seconds += result.inference_seconds

    def record(self) -> None:
        if not self.span.is_recording():
            return
        self.span.set_attribute("rag.texts", self.texts)
        self.span.set_attribute("rag.tokenize_seconds", self.tokenize_seconds)
        if self.begun:
            self.span.set_attribute("rag.batches", self.begun)
            self.span.set_attribute("rag.queue_seconds", self.queue_seconds)
            self.span.set_attribute("rag.compute_seconds", self.compute_seconds)


def _options(request: pb.EmbedRequest) -> EmbedOptions:
    if request.representation not in _REPRESENTATIONS:
        raise errors.FieldInvalid.of("representation", "is not a known value")
    dense, sparse = _REPRESENTATIONS[request.representation]
    truncate = request.overflow == pb.OVERFLOW_TRUNCATE
    call = CALL.get()
    return EmbedOptions(
        query=_is_query(request.task),
        dense=dense,
        sparse=sparse,
        truncate=truncate,
        tenant=call.tenant if call else "",
    )


def _is_query(task: int) -> bool:
    if task not in (pb.TASK_QUERY, pb.TASK_DOCUMENT):
        raise errors.FieldInvalid.of("task", "must be TASK_QUERY or TASK_DOCUMENT")
    return task == pb.TASK_QUERY


def _response(result: EmbedResult, query: bool) -> pb.EmbedResponse:
    response = pb.EmbedResponse(
        fingerprint=result.fingerprint,
        embeddings=[_embedding(item, query) for item in result.embeddings],
    )
    set_seconds(response.timings.queue, result.queue_seconds)
    set_seconds(response.timings.tokenize, result.tokenize_seconds)
    set_seconds(response.timings.inference, result.inference_seconds)
    return response


def _embedding(item: Embedding, query: bool) -> pb.Embedding:
    dense = sparse = None
    if item.dense is not None:
        dense = vector_pb2.DenseVector(data=item.dense.astype("<f4", copy=False).tobytes())
    if item.sparse is not None:
        sparse = vector_pb2.SparseVector(
            indices=item.sparse.indices,
            values=item.sparse.values,
            terms=item.sparse.terms if query else (),
        )
    return pb.Embedding(
        dense=dense, sparse=sparse, token_count=item.tokens, truncated=item.truncated
    )
