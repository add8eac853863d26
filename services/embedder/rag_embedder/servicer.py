"""The embedder's protobuf messages to its core and back."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass

from rag.embedder.v1 import embedder_service_pb2 as pb
from rag.embedder.v1.embedder_service_pb2_grpc import EmbedderServiceServicer
from rag.types.v1 import vector_pb2
from rag_common import errors, tracing
from rag_common.context import CALL
from rag_common.rpc.types import Context
from rag_common.tracing import Span
from rag_embedder.ahead import ahead
from rag_embedder.core import Embedded, Embedder, Embedding, Wanted

_AHEAD = 2
# Batches of a stream that have spans of their own; what comes later is in the stream's sums.
_MOST_SPANNED = 8

_REPRESENTATIONS = {
    pb.REPRESENTATION_UNSPECIFIED: (True, True),
    pb.REPRESENTATION_BOTH: (True, True),
    pb.REPRESENTATION_DENSE: (True, False),
    pb.REPRESENTATION_SPARSE: (False, True),
}


class EmbedderServicer(EmbedderServiceServicer):
    """Translates; the core does the work."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def Embed(self, request: pb.EmbedRequest, context: Context) -> pb.EmbedResponse:
        sums = _Sums(tracing.current())
        reply = await self._embed(request, sums)
        sums.tell()
        return reply

    async def EmbedStream(
        self,
        request_iterator: AsyncIterator[pb.EmbedStreamRequest],
        context: Context,
    ) -> AsyncIterator[pb.EmbedStreamResponse]:
        """Works on two batches at a time, so that no lane waits for the end of one."""
        sums = _Sums(tracing.current())

        async def work(request: pb.EmbedStreamRequest) -> pb.EmbedStreamResponse:
            with sums.next():
                return pb.EmbedStreamResponse(batch=await self._embed(request.batch, sums))

        try:
            async with aclosing(ahead(request_iterator, work, _AHEAD)) as replies:
                async for reply in replies:
                    yield reply
        finally:
            sums.tell()

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
        done = await self._embedder.embed(request.texts, _wanted(request))
        sums.add(done)
        return _response(done, _is_query(request.task))


@dataclass(slots=True)
class _Sums:
    """What a call has done so far, for its span."""

    span: Span
    begun: int = 0
    texts: int = 0
    tokenize_seconds: float = 0.0
    queue_seconds: float = 0.0
    compute_seconds: float = 0.0

    def next(self) -> AbstractContextManager[Span]:
        """Work on one batch of a stream inside."""
        self.begun += 1
        return tracing.inside(self.span if self.begun <= _MOST_SPANNED else tracing.SILENT)

    def add(self, done: Embedded) -> None:
        self.texts += len(done.embeddings)
        self.tokenize_seconds += done.tokenize_seconds
        self.queue_seconds += done.queue_seconds
        self.compute_seconds += done.inference_seconds

    def tell(self) -> None:
        if not self.span.recording:
            return
        self.span.set("rag.texts", self.texts)
        self.span.set("rag.tokenize_seconds", self.tokenize_seconds)
        if self.begun:
            self.span.set("rag.batches", self.begun)
            self.span.set("rag.queue_seconds", self.queue_seconds)
            self.span.set("rag.compute_seconds", self.compute_seconds)


def _wanted(request: pb.EmbedRequest) -> Wanted:
    if request.representation not in _REPRESENTATIONS:
        raise errors.InvalidArgument.of("representation", "is not a known value")
    dense, sparse = _REPRESENTATIONS[request.representation]
    truncate = request.overflow == pb.OVERFLOW_TRUNCATE
    call = CALL.get()
    return Wanted(
        query=_is_query(request.task),
        dense=dense,
        sparse=sparse,
        truncate=truncate,
        payer=call.payer if call else "",
    )


def _is_query(task: int) -> bool:
    if task not in (pb.TASK_QUERY, pb.TASK_DOCUMENT):
        raise errors.InvalidArgument.of("task", "say TASK_QUERY or TASK_DOCUMENT")
    return task == pb.TASK_QUERY


def _response(done: Embedded, query: bool) -> pb.EmbedResponse:
    response = pb.EmbedResponse(
        fingerprint=done.fingerprint,
        embeddings=[_embedding(item, query) for item in done.embeddings],
    )
    response.timings.queue.FromNanoseconds(int(done.queue_seconds * 1e9))
    response.timings.tokenize.FromNanoseconds(int(done.tokenize_seconds * 1e9))
    response.timings.inference.FromNanoseconds(int(done.inference_seconds * 1e9))
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
