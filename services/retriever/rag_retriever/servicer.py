"""The retriever's protobuf messages to its core and back."""

import re
from collections.abc import AsyncIterator, Sequence
from math import isfinite

from rag.retriever.v1 import retriever_service_pb2 as pb
from rag.retriever.v1.retriever_service_pb2_grpc import RetrieverServiceServicer
from rag_common import errors
from rag_common.rpc.types import Context
from rag_retriever import filtering, messages
from rag_retriever.core import Retriever, Search
from rag_retriever.filters import Filter, Scope
from rag_retriever.fusion import Method
from rag_retriever.passages import Query, VectorChunk
from rag_retriever.ports import IndexSpec
from rag_retriever.splitting import Document as File

_MOST_TOP_K = 100
_MOST_CANDIDATES = 1000
_MOST_PAGE = 1000
_SENT_CHUNKS = 16
_INDEX = re.compile(r"[a-z][a-z0-9-]{0,63}")

_METHODS = {
    pb.FUSION_UNSPECIFIED: Method.POSTERIOR,
    pb.FUSION_POSTERIOR: Method.POSTERIOR,
    pb.FUSION_RRF: Method.RRF,
    pb.FUSION_DBSF: Method.DBSF,
}


class RetrieverServicer(RetrieverServiceServicer):
    """Translates; the core does the work."""

    def __init__(self, retriever: Retriever, *, document_bytes: int) -> None:
        self._retriever = retriever
        self._document_bytes = document_bytes

    async def Search(self, request: pb.SearchRequest, context: Context) -> pb.SearchResponse:
        return messages.found(await self._retriever.search(_search(request)))

    async def SplitDocument(
        self,
        request_iterator: AsyncIterator[pb.SplitDocumentRequest],
        context: Context,
    ) -> AsyncIterator[pb.SplitDocumentResponse]:
        file = await self._file(request_iterator)
        split = await self._retriever.split(file)
        outline = pb.Outline(
            title=split.title,
            media_type=split.media_type,
            character_count=len(split.text),
            chunk_count=len(split.chunks),
        )
        yield pb.SplitDocumentResponse(outline=outline)
        for start in range(0, len(split.chunks), _SENT_CHUNKS):
            batch = split.chunks[start : start + _SENT_CHUNKS]
            chunks = pb.ChunkBatch(chunks=[messages.text_chunk(chunk) for chunk in batch])
            yield pb.SplitDocumentResponse(chunks=chunks)

    async def UpsertChunks(
        self,
        request_iterator: AsyncIterator[pb.UpsertChunksRequest],
        context: Context,
    ) -> pb.UpsertChunksResponse:
        first = await anext(request_iterator, None)
        if first is None or first.WhichOneof("part") != "header":
            raise errors.InvalidArgument.of("header", "must come in the first message")
        header = first.header
        document = messages.document(_tenant(header.tenant_id), header.document)
        stored, replaced = await self._retriever.upsert(
            header.index, document, header.fingerprint, _batches(request_iterator)
        )
        return pb.UpsertChunksResponse(
            document=messages.document_message(stored), replaced=replaced
        )

    async def DeleteChunks(
        self, request: pb.DeleteChunksRequest, context: Context
    ) -> pb.DeleteChunksResponse:
        removed = await self._retriever.delete(request.index, messages.key(request))
        return pb.DeleteChunksResponse(deleted_count=removed)

    async def Count(self, request: pb.CountRequest, context: Context) -> pb.CountResponse:
        scope = _scope(request, filtering.parse(request.filter))
        documents, chunks = await self._retriever.count(request.index, scope)
        return pb.CountResponse(documents=documents, chunks=chunks)

    async def GetDocument(
        self, request: pb.GetDocumentRequest, context: Context
    ) -> pb.GetDocumentResponse:
        found = await self._retriever.document(request.index, messages.key(request))
        return pb.GetDocumentResponse(document=messages.document_message(found))

    async def ListDocuments(
        self, request: pb.ListDocumentsRequest, context: Context
    ) -> pb.ListDocumentsResponse:
        collections = (request.collection,) if request.collection else ()
        scope = Scope(_tenant(request.tenant_id), collections)
        found, token = await self._retriever.documents(
            request.index, scope, request.page_token, _page(request.page_size)
        )
        return pb.ListDocumentsResponse(
            documents=[messages.document_message(item) for item in found], next_page_token=token
        )

    async def ListChunks(
        self, request: pb.ListChunksRequest, context: Context
    ) -> pb.ListChunksResponse:
        found = await self._retriever.chunks(
            request.index, messages.key(request), request.first_ordinal, _page(request.page_size)
        )
        return pb.ListChunksResponse(passages=[messages.passage(item) for item in found])

    async def CreateIndex(
        self, request: pb.CreateIndexRequest, context: Context
    ) -> pb.CreateIndexResponse:
        if not _INDEX.fullmatch(request.index) or request.index == "default":
            raise errors.InvalidArgument.of(
                "index", "must be a lower-case letter, then letters, digits or -; not `default`"
            )
        if not 1 <= request.dimensions <= 65_536:
            raise errors.InvalidArgument.of("dimensions", "must be 1 to 65536")
        if not request.fingerprint:
            raise errors.InvalidArgument.of("fingerprint", "is empty")
        spec = IndexSpec(request.index, request.dimensions, request.fingerprint)
        return pb.CreateIndexResponse(index=messages.index(await self._retriever.create(spec)))

    async def GetIndex(self, request: pb.GetIndexRequest, context: Context) -> pb.GetIndexResponse:
        info = await self._retriever.catalog.describe(request.index)
        return pb.GetIndexResponse(index=messages.index(info))

    async def ListIndexes(
        self, request: pb.ListIndexesRequest, context: Context
    ) -> pb.ListIndexesResponse:
        found = await self._retriever.catalog.list()
        return pb.ListIndexesResponse(indexes=[messages.index(info) for info in found])

    async def OptimizeIndex(
        self, request: pb.OptimizeIndexRequest, context: Context
    ) -> pb.OptimizeIndexResponse:
        info = await self._retriever.catalog.optimize(request.index)
        return pb.OptimizeIndexResponse(index=messages.index(info))

    async def SwitchAlias(
        self, request: pb.SwitchAliasRequest, context: Context
    ) -> pb.SwitchAliasResponse:
        info = await self._retriever.catalog.switch(request.index)
        return pb.SwitchAliasResponse(index=messages.index(info))

    async def DeleteIndex(
        self, request: pb.DeleteIndexRequest, context: Context
    ) -> pb.DeleteIndexResponse:
        await self._retriever.catalog.drop(request.index)
        return pb.DeleteIndexResponse()

    async def _file(self, pieces: AsyncIterator[pb.SplitDocumentRequest]) -> File:
        first = await anext(pieces, None)
        if first is None or first.WhichOneof("part") != "header":
            raise errors.InvalidArgument.of("header", "must come in the first message")
        content = bytearray()
        async for piece in pieces:
            if piece.WhichOneof("part") != "content":
                raise errors.InvalidArgument.of("content", "must be all that follows the header")
            content += piece.content
            if len(content) > self._document_bytes:
                raise errors.MessageTooLarge(f"the file has over {self._document_bytes} bytes")
        return File(bytes(content), first.header.filename, first.header.media_type)


def _search(request: pb.SearchRequest) -> Search:
    top_k = request.top_k if request.HasField("top_k") else 10
    candidates = request.candidates if request.HasField("candidates") else max(50, top_k)
    _between("top_k", top_k, 1, _MOST_TOP_K)
    _between("candidates", candidates, top_k, _MOST_CANDIDATES)
    if request.fusion not in _METHODS:
        raise errors.InvalidArgument.of("fusion", "is not a known value")
    if not isfinite(request.min_score):
        raise errors.InvalidArgument.of("min_score", "is not a number")
    return Search(
        index=request.index,
        scope=_scope(request, filtering.parse(request.filter)),
        query=_query(request),
        fingerprint=request.fingerprint,
        top_k=top_k,
        candidates=candidates,
        method=_METHODS[request.fusion],
        min_score=request.min_score if request.HasField("min_score") else None,
        explain=request.explain,
        terms=dict(zip(request.sparse.indices, request.sparse.terms, strict=False)),
    )


def _query(request: pb.SearchRequest) -> Query:
    dense = messages.dense(request.dense) if request.HasField("dense") else None
    sparse = messages.sparse(request.sparse) if request.HasField("sparse") else None
    if dense is None and sparse is None:
        raise errors.InvalidArgument.of("dense", "give a dense vector, a sparse one, or both")
    return Query(dense, sparse)


def _scope(request: pb.SearchRequest | pb.CountRequest, conditions: Filter) -> Scope:
    return Scope(_tenant(request.tenant_id), tuple(request.collections), conditions)


def _tenant(tenant: str) -> str:
    if not tenant:
        raise errors.InvalidArgument.of("tenant_id", "is empty")
    return tenant


def _page(size: int) -> int:
    _between("page_size", size, 0, _MOST_PAGE)
    return size or 100


def _between(field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise errors.InvalidArgument.of(field, f"must be {least} to {most}")


async def _batches(
    pieces: AsyncIterator[pb.UpsertChunksRequest],
) -> AsyncIterator[Sequence[VectorChunk]]:
    async for piece in pieces:
        if piece.WhichOneof("part") != "chunks":
            raise errors.InvalidArgument.of("chunks", "must be all that follows the header")
        yield [messages.vector_chunk(item) for item in piece.chunks.chunks]
