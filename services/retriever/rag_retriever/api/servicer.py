"""The gRPC servicer of the retriever: validates requests and calls the search service."""

from collections.abc import AsyncIterator, Sequence
from math import isfinite

from rag.retriever.v1 import retriever_service_pb2 as pb
from rag.retriever.v1.retriever_service_pb2_grpc import RetrieverServiceServicer
from rag_common.grpc.request_header import read_header
from rag_common.grpc.types import Context
from rag_contract import errors
from rag_retriever.api import filters, messages
from rag_retriever.index.filters import Filter, Scope
from rag_retriever.index.model import Query, VectorChunk
from rag_retriever.index.ports import IndexSpec, Outcome
from rag_retriever.search.fusion import Method
from rag_retriever.search.service import Retriever, Search

_MAX_TOP_K = 100
_MAX_CANDIDATES = 1000
_MAX_PAGE_SIZE = 1000

_METHODS = {
    pb.FUSION_UNSPECIFIED: Method.POSTERIOR,
    pb.FUSION_POSTERIOR: Method.POSTERIOR,
    pb.FUSION_RRF: Method.RRF,
    pb.FUSION_DBSF: Method.DBSF,
}


class RetrieverServicer(RetrieverServiceServicer):
    """Converts messages to calls of `Retriever`."""

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever

    async def Search(self, request: pb.SearchRequest, context: Context) -> pb.SearchResponse:
        return messages.search_response(await self._retriever.search(_search_from(request)))

    async def UpsertChunks(
        self,
        request_iterator: AsyncIterator[pb.UpsertChunksRequest],
        context: Context,
    ) -> pb.UpsertChunksResponse:
        header: pb.UpsertHeader = await read_header(request_iterator)
        document = messages.document_from(_require_tenant(header.tenant_id), header.document)
        published = await self._retriever.upsert(
            header.index, document, header.fingerprint, _batches(request_iterator)
        )
        return pb.UpsertChunksResponse(
            document=messages.document_message(published.document),
            replaced=published.outcome is Outcome.REPLACED,
            unchanged=published.outcome is Outcome.UNCHANGED,
        )

    async def DeleteChunks(
        self, request: pb.DeleteChunksRequest, context: Context
    ) -> pb.DeleteChunksResponse:
        removed = await self._retriever.delete(request.index, messages.document_key(request))
        return pb.DeleteChunksResponse(deleted_count=removed)

    async def Count(self, request: pb.CountRequest, context: Context) -> pb.CountResponse:
        scope = _scope_from(request)
        required = tuple(dict.fromkeys(request.required_collections))
        documents, chunks = await self._retriever.count(request.index, scope, required)
        return pb.CountResponse(documents=documents, chunks=chunks)

    async def GetDocument(
        self, request: pb.GetDocumentRequest, context: Context
    ) -> pb.GetDocumentResponse:
        document = await self._retriever.document(request.index, messages.document_key(request))
        return pb.GetDocumentResponse(document=messages.document_message(document))

    async def ListDocuments(
        self, request: pb.ListDocumentsRequest, context: Context
    ) -> pb.ListDocumentsResponse:
        collections = (request.collection,) if request.collection else ()
        scope = Scope(_require_tenant(request.tenant_id), collections)
        documents, token = await self._retriever.documents(
            request.index, scope, request.page_token, _page_size(request.page_size)
        )
        return pb.ListDocumentsResponse(
            documents=[messages.document_message(item) for item in documents], next_page_token=token
        )

    async def ListChunks(
        self, request: pb.ListChunksRequest, context: Context
    ) -> pb.ListChunksResponse:
        passages = await self._retriever.chunks(
            request.index,
            messages.document_key(request),
            request.first_ordinal,
            _page_size(request.page_size),
        )
        return pb.ListChunksResponse(passages=[messages.passage_message(item) for item in passages])

    async def CreateIndex(
        self, request: pb.CreateIndexRequest, context: Context
    ) -> pb.CreateIndexResponse:
        if not 1 <= request.dimensions <= 65_536:
            raise errors.FieldInvalid.of("dimensions", "must be 1 to 65536")
        if not request.fingerprint:
            raise errors.FieldInvalid.of("fingerprint", "is empty")
        spec = IndexSpec(request.index, request.dimensions, request.fingerprint)
        return pb.CreateIndexResponse(
            index=messages.index_message(await self._retriever.create(spec))
        )

    async def GetIndex(self, request: pb.GetIndexRequest, context: Context) -> pb.GetIndexResponse:
        info = await self._retriever.catalog.describe(request.index)
        return pb.GetIndexResponse(index=messages.index_message(info))

    async def ListIndexes(
        self, request: pb.ListIndexesRequest, context: Context
    ) -> pb.ListIndexesResponse:
        indexes = await self._retriever.catalog.list_indexes()
        return pb.ListIndexesResponse(indexes=[messages.index_message(info) for info in indexes])

    async def OptimizeIndex(
        self, request: pb.OptimizeIndexRequest, context: Context
    ) -> pb.OptimizeIndexResponse:
        info = await self._retriever.catalog.optimize(request.index)
        return pb.OptimizeIndexResponse(index=messages.index_message(info))

    async def SwitchAlias(
        self, request: pb.SwitchAliasRequest, context: Context
    ) -> pb.SwitchAliasResponse:
        info = await self._retriever.catalog.switch(request.index)
        return pb.SwitchAliasResponse(index=messages.index_message(info))

    async def DeleteIndex(
        self, request: pb.DeleteIndexRequest, context: Context
    ) -> pb.DeleteIndexResponse:
        await self._retriever.catalog.drop(request.index)
        return pb.DeleteIndexResponse()


def _search_from(request: pb.SearchRequest) -> Search:
    top_k = request.top_k if request.HasField("top_k") else 10
    candidates = request.candidates if request.HasField("candidates") else max(50, top_k)
    _require_between("top_k", top_k, 1, _MAX_TOP_K)
    _require_between("candidates", candidates, top_k, _MAX_CANDIDATES)
    if request.fusion not in _METHODS:
        raise errors.FieldInvalid.of("fusion", "is not a known value")
    if not isfinite(request.min_score):
        raise errors.FieldInvalid.of("min_score", "is not a number")
    return Search(
        index=request.index,
        scope=_scope_from(request),
        query=_query_from(request),
        fingerprint=request.fingerprint,
        top_k=top_k,
        candidates=candidates,
        method=_METHODS[request.fusion],
        min_score=request.min_score if request.HasField("min_score") else None,
        explain=request.explain,
        terms=dict(zip(request.sparse.indices, request.sparse.terms, strict=False)),
        required_collections=tuple(dict.fromkeys(request.required_collections)),
    )


def _query_from(request: pb.SearchRequest) -> Query:
    dense = messages.dense_from(request.dense) if request.HasField("dense") else None
    sparse = messages.sparse_from(request.sparse) if request.HasField("sparse") else None
    if dense is None and sparse is None:
        raise errors.FieldInvalid.of("dense", "requires a dense vector, a sparse vector, or both")
    return Query(dense, sparse)


def _scope_from(request: pb.SearchRequest | pb.CountRequest) -> Scope:
    conditions = filters.parse(request.filter) if request.HasField("filter") else Filter()
    return Scope(_require_tenant(request.tenant_id), tuple(request.collections), conditions)


def _require_tenant(tenant: str) -> str:
    if not tenant:
        raise errors.FieldInvalid.of("tenant_id", "is empty")
    return tenant


def _page_size(size: int) -> int:
    _require_between("page_size", size, 0, _MAX_PAGE_SIZE)
    return size or 100


def _require_between(field: str, value: int, minimum: int, maximum: int) -> None:
    if not minimum <= value <= maximum:
        raise errors.FieldInvalid.of(field, f"must be {minimum} to {maximum}")


async def _batches(
    requests: AsyncIterator[pb.UpsertChunksRequest],
) -> AsyncIterator[Sequence[VectorChunk]]:
    async for piece in requests:
        if piece.WhichOneof("part") != "chunks":
            raise errors.FieldInvalid.of("chunks", "must be the only part after the header")
        yield [messages.vector_chunk_from(item) for item in piece.chunks.chunks]
