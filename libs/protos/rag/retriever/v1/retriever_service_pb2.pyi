import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from rag.types.v1 import document_pb2 as _document_pb2
from rag.types.v1 import filter_pb2 as _filter_pb2
from rag.types.v1 import passage_pb2 as _passage_pb2
from rag.types.v1 import vector_pb2 as _vector_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Fusion(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FUSION_UNSPECIFIED: _ClassVar[Fusion]
    FUSION_POSTERIOR: _ClassVar[Fusion]
    FUSION_RRF: _ClassVar[Fusion]
    FUSION_DBSF: _ClassVar[Fusion]

class IndexState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INDEX_STATE_UNSPECIFIED: _ClassVar[IndexState]
    INDEX_STATE_READY: _ClassVar[IndexState]
    INDEX_STATE_UNOPTIMIZED: _ClassVar[IndexState]
    INDEX_STATE_OPTIMIZING: _ClassVar[IndexState]
FUSION_UNSPECIFIED: Fusion
FUSION_POSTERIOR: Fusion
FUSION_RRF: Fusion
FUSION_DBSF: Fusion
INDEX_STATE_UNSPECIFIED: IndexState
INDEX_STATE_READY: IndexState
INDEX_STATE_UNOPTIMIZED: IndexState
INDEX_STATE_OPTIMIZING: IndexState

class SearchRequest(_message.Message):
    __slots__ = ("tenant_id", "index", "collections", "filter", "dense", "sparse", "fingerprint", "top_k", "candidates", "fusion", "min_score", "explain", "required_collections")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    DENSE_FIELD_NUMBER: _ClassVar[int]
    SPARSE_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    FUSION_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    index: str
    collections: _containers.RepeatedScalarFieldContainer[str]
    filter: _filter_pb2.Filter
    dense: _vector_pb2.DenseVector
    sparse: _vector_pb2.SparseVector
    fingerprint: str
    top_k: int
    candidates: int
    fusion: Fusion
    min_score: float
    explain: bool
    required_collections: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, tenant_id: _Optional[str] = ..., index: _Optional[str] = ..., collections: _Optional[_Iterable[str]] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., dense: _Optional[_Union[_vector_pb2.DenseVector, _Mapping]] = ..., sparse: _Optional[_Union[_vector_pb2.SparseVector, _Mapping]] = ..., fingerprint: _Optional[str] = ..., top_k: _Optional[int] = ..., candidates: _Optional[int] = ..., fusion: _Optional[_Union[Fusion, str]] = ..., min_score: _Optional[float] = ..., explain: _Optional[bool] = ..., required_collections: _Optional[_Iterable[str]] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("passages", "timings", "index_version")
    PASSAGES_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    INDEX_VERSION_FIELD_NUMBER: _ClassVar[int]
    passages: _containers.RepeatedCompositeFieldContainer[_passage_pb2.ScoredPassage]
    timings: SearchTimings
    index_version: str
    def __init__(self, passages: _Optional[_Iterable[_Union[_passage_pb2.ScoredPassage, _Mapping]]] = ..., timings: _Optional[_Union[SearchTimings, _Mapping]] = ..., index_version: _Optional[str] = ...) -> None: ...

class SearchTimings(_message.Message):
    __slots__ = ("dense", "sparse", "fusion", "payload")
    DENSE_FIELD_NUMBER: _ClassVar[int]
    SPARSE_FIELD_NUMBER: _ClassVar[int]
    FUSION_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    dense: _duration_pb2.Duration
    sparse: _duration_pb2.Duration
    fusion: _duration_pb2.Duration
    payload: _duration_pb2.Duration
    def __init__(self, dense: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., sparse: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., fusion: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., payload: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class TextChunk(_message.Message):
    __slots__ = ("ordinal", "text", "headings", "span", "page", "location")
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    HEADINGS_FIELD_NUMBER: _ClassVar[int]
    SPAN_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    ordinal: int
    text: str
    headings: _containers.RepeatedScalarFieldContainer[str]
    span: _passage_pb2.TextSpan
    page: int
    location: _passage_pb2.Location
    def __init__(self, ordinal: _Optional[int] = ..., text: _Optional[str] = ..., headings: _Optional[_Iterable[str]] = ..., span: _Optional[_Union[_passage_pb2.TextSpan, _Mapping]] = ..., page: _Optional[int] = ..., location: _Optional[_Union[_passage_pb2.Location, _Mapping]] = ...) -> None: ...

class UpsertChunksRequest(_message.Message):
    __slots__ = ("header", "chunks")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    header: UpsertHeader
    chunks: VectorChunkBatch
    def __init__(self, header: _Optional[_Union[UpsertHeader, _Mapping]] = ..., chunks: _Optional[_Union[VectorChunkBatch, _Mapping]] = ...) -> None: ...

class UpsertHeader(_message.Message):
    __slots__ = ("tenant_id", "index", "document", "fingerprint")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    index: str
    document: _document_pb2.Document
    fingerprint: str
    def __init__(self, tenant_id: _Optional[str] = ..., index: _Optional[str] = ..., document: _Optional[_Union[_document_pb2.Document, _Mapping]] = ..., fingerprint: _Optional[str] = ...) -> None: ...

class VectorChunkBatch(_message.Message):
    __slots__ = ("chunks",)
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    chunks: _containers.RepeatedCompositeFieldContainer[VectorChunk]
    def __init__(self, chunks: _Optional[_Iterable[_Union[VectorChunk, _Mapping]]] = ...) -> None: ...

class VectorChunk(_message.Message):
    __slots__ = ("chunk", "dense", "sparse")
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    DENSE_FIELD_NUMBER: _ClassVar[int]
    SPARSE_FIELD_NUMBER: _ClassVar[int]
    chunk: TextChunk
    dense: _vector_pb2.DenseVector
    sparse: _vector_pb2.SparseVector
    def __init__(self, chunk: _Optional[_Union[TextChunk, _Mapping]] = ..., dense: _Optional[_Union[_vector_pb2.DenseVector, _Mapping]] = ..., sparse: _Optional[_Union[_vector_pb2.SparseVector, _Mapping]] = ...) -> None: ...

class UpsertChunksResponse(_message.Message):
    __slots__ = ("document", "replaced", "unchanged")
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    REPLACED_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    document: _document_pb2.Document
    replaced: bool
    unchanged: bool
    def __init__(self, document: _Optional[_Union[_document_pb2.Document, _Mapping]] = ..., replaced: _Optional[bool] = ..., unchanged: _Optional[bool] = ...) -> None: ...

class DeleteChunksRequest(_message.Message):
    __slots__ = ("tenant_id", "index", "collection", "document_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    index: str
    collection: str
    document_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., index: _Optional[str] = ..., collection: _Optional[str] = ..., document_id: _Optional[str] = ...) -> None: ...

class DeleteChunksResponse(_message.Message):
    __slots__ = ("deleted_count",)
    DELETED_COUNT_FIELD_NUMBER: _ClassVar[int]
    deleted_count: int
    def __init__(self, deleted_count: _Optional[int] = ...) -> None: ...

class CountRequest(_message.Message):
    __slots__ = ("tenant_id", "index", "collections", "filter", "required_collections")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    index: str
    collections: _containers.RepeatedScalarFieldContainer[str]
    filter: _filter_pb2.Filter
    required_collections: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, tenant_id: _Optional[str] = ..., index: _Optional[str] = ..., collections: _Optional[_Iterable[str]] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., required_collections: _Optional[_Iterable[str]] = ...) -> None: ...

class CountResponse(_message.Message):
    __slots__ = ("documents", "chunks")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    documents: int
    chunks: int
    def __init__(self, documents: _Optional[int] = ..., chunks: _Optional[int] = ...) -> None: ...

class GetDocumentRequest(_message.Message):
    __slots__ = ("tenant_id", "index", "collection", "document_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    index: str
    collection: str
    document_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., index: _Optional[str] = ..., collection: _Optional[str] = ..., document_id: _Optional[str] = ...) -> None: ...

class GetDocumentResponse(_message.Message):
    __slots__ = ("document",)
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    document: _document_pb2.Document
    def __init__(self, document: _Optional[_Union[_document_pb2.Document, _Mapping]] = ...) -> None: ...

class ListDocumentsRequest(_message.Message):
    __slots__ = ("tenant_id", "index", "collection", "page_size", "page_token")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    index: str
    collection: str
    page_size: int
    page_token: str
    def __init__(self, tenant_id: _Optional[str] = ..., index: _Optional[str] = ..., collection: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDocumentsResponse(_message.Message):
    __slots__ = ("documents", "next_page_token")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    documents: _containers.RepeatedCompositeFieldContainer[_document_pb2.Document]
    next_page_token: str
    def __init__(self, documents: _Optional[_Iterable[_Union[_document_pb2.Document, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListChunksRequest(_message.Message):
    __slots__ = ("tenant_id", "index", "collection", "document_id", "first_ordinal", "page_size")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    FIRST_ORDINAL_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    index: str
    collection: str
    document_id: str
    first_ordinal: int
    page_size: int
    def __init__(self, tenant_id: _Optional[str] = ..., index: _Optional[str] = ..., collection: _Optional[str] = ..., document_id: _Optional[str] = ..., first_ordinal: _Optional[int] = ..., page_size: _Optional[int] = ...) -> None: ...

class ListChunksResponse(_message.Message):
    __slots__ = ("passages",)
    PASSAGES_FIELD_NUMBER: _ClassVar[int]
    passages: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Passage]
    def __init__(self, passages: _Optional[_Iterable[_Union[_passage_pb2.Passage, _Mapping]]] = ...) -> None: ...

class CreateIndexRequest(_message.Message):
    __slots__ = ("index", "dimensions", "fingerprint")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    index: str
    dimensions: int
    fingerprint: str
    def __init__(self, index: _Optional[str] = ..., dimensions: _Optional[int] = ..., fingerprint: _Optional[str] = ...) -> None: ...

class CreateIndexResponse(_message.Message):
    __slots__ = ("index",)
    INDEX_FIELD_NUMBER: _ClassVar[int]
    index: Index
    def __init__(self, index: _Optional[_Union[Index, _Mapping]] = ...) -> None: ...

class GetIndexRequest(_message.Message):
    __slots__ = ("index",)
    INDEX_FIELD_NUMBER: _ClassVar[int]
    index: str
    def __init__(self, index: _Optional[str] = ...) -> None: ...

class GetIndexResponse(_message.Message):
    __slots__ = ("index",)
    INDEX_FIELD_NUMBER: _ClassVar[int]
    index: Index
    def __init__(self, index: _Optional[_Union[Index, _Mapping]] = ...) -> None: ...

class ListIndexesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListIndexesResponse(_message.Message):
    __slots__ = ("indexes",)
    INDEXES_FIELD_NUMBER: _ClassVar[int]
    indexes: _containers.RepeatedCompositeFieldContainer[Index]
    def __init__(self, indexes: _Optional[_Iterable[_Union[Index, _Mapping]]] = ...) -> None: ...

class OptimizeIndexRequest(_message.Message):
    __slots__ = ("index",)
    INDEX_FIELD_NUMBER: _ClassVar[int]
    index: str
    def __init__(self, index: _Optional[str] = ...) -> None: ...

class OptimizeIndexResponse(_message.Message):
    __slots__ = ("index",)
    INDEX_FIELD_NUMBER: _ClassVar[int]
    index: Index
    def __init__(self, index: _Optional[_Union[Index, _Mapping]] = ...) -> None: ...

class SwitchAliasRequest(_message.Message):
    __slots__ = ("index",)
    INDEX_FIELD_NUMBER: _ClassVar[int]
    index: str
    def __init__(self, index: _Optional[str] = ...) -> None: ...

class SwitchAliasResponse(_message.Message):
    __slots__ = ("index",)
    INDEX_FIELD_NUMBER: _ClassVar[int]
    index: Index
    def __init__(self, index: _Optional[_Union[Index, _Mapping]] = ...) -> None: ...

class DeleteIndexRequest(_message.Message):
    __slots__ = ("index",)
    INDEX_FIELD_NUMBER: _ClassVar[int]
    index: str
    def __init__(self, index: _Optional[str] = ...) -> None: ...

class DeleteIndexResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Index(_message.Message):
    __slots__ = ("name", "dimensions", "fingerprint", "points", "state", "is_default", "engine", "create_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    IS_DEFAULT_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    dimensions: int
    fingerprint: str
    points: int
    state: IndexState
    is_default: bool
    engine: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., dimensions: _Optional[int] = ..., fingerprint: _Optional[str] = ..., points: _Optional[int] = ..., state: _Optional[_Union[IndexState, str]] = ..., is_default: _Optional[bool] = ..., engine: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
