import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from rag.retriever.v1 import retriever_service_pb2 as _retriever_service_pb2
from rag.types.v1 import document_pb2 as _document_pb2
from rag.types.v1 import passage_pb2 as _passage_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class IngestOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INGEST_OUTCOME_UNSPECIFIED: _ClassVar[IngestOutcome]
    INGEST_OUTCOME_CREATED: _ClassVar[IngestOutcome]
    INGEST_OUTCOME_REPLACED: _ClassVar[IngestOutcome]
    INGEST_OUTCOME_UNCHANGED: _ClassVar[IngestOutcome]
INGEST_OUTCOME_UNSPECIFIED: IngestOutcome
INGEST_OUTCOME_CREATED: IngestOutcome
INGEST_OUTCOME_REPLACED: IngestOutcome
INGEST_OUTCOME_UNCHANGED: IngestOutcome

class IngestDocumentRequest(_message.Message):
    __slots__ = ("header", "content", "end")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    header: IngestHeader
    content: bytes
    end: ContentEnd
    def __init__(self, header: _Optional[_Union[IngestHeader, _Mapping]] = ..., content: _Optional[bytes] = ..., end: _Optional[_Union[ContentEnd, _Mapping]] = ...) -> None: ...

class ContentEnd(_message.Message):
    __slots__ = ("size", "sha256")
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    size: int
    sha256: bytes
    def __init__(self, size: _Optional[int] = ..., sha256: _Optional[bytes] = ...) -> None: ...

class IngestHeader(_message.Message):
    __slots__ = ("tenant_id", "collection", "document_id", "title", "uri", "filename", "media_type", "metadata")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    collection: str
    document_id: str
    title: str
    uri: str
    filename: str
    media_type: str
    metadata: _struct_pb2.Struct
    def __init__(self, tenant_id: _Optional[str] = ..., collection: _Optional[str] = ..., document_id: _Optional[str] = ..., title: _Optional[str] = ..., uri: _Optional[str] = ..., filename: _Optional[str] = ..., media_type: _Optional[str] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class IngestDocumentResponse(_message.Message):
    __slots__ = ("document", "outcome", "timings")
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    document: _document_pb2.Document
    outcome: IngestOutcome
    timings: _containers.RepeatedCompositeFieldContainer[StageTiming]
    def __init__(self, document: _Optional[_Union[_document_pb2.Document, _Mapping]] = ..., outcome: _Optional[_Union[IngestOutcome, str]] = ..., timings: _Optional[_Iterable[_Union[StageTiming, _Mapping]]] = ...) -> None: ...

class StageTiming(_message.Message):
    __slots__ = ("stage", "duration")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    stage: str
    duration: _duration_pb2.Duration
    def __init__(self, stage: _Optional[str] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class SplitDocumentRequest(_message.Message):
    __slots__ = ("header", "content")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    header: SplitHeader
    content: bytes
    def __init__(self, header: _Optional[_Union[SplitHeader, _Mapping]] = ..., content: _Optional[bytes] = ...) -> None: ...

class SplitHeader(_message.Message):
    __slots__ = ("filename", "media_type")
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    filename: str
    media_type: str
    def __init__(self, filename: _Optional[str] = ..., media_type: _Optional[str] = ...) -> None: ...

class SplitDocumentResponse(_message.Message):
    __slots__ = ("outline", "chunks")
    OUTLINE_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    outline: Outline
    chunks: ChunkBatch
    def __init__(self, outline: _Optional[_Union[Outline, _Mapping]] = ..., chunks: _Optional[_Union[ChunkBatch, _Mapping]] = ...) -> None: ...

class Outline(_message.Message):
    __slots__ = ("title", "media_type", "character_count", "chunk_count", "warnings")
    TITLE_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    CHARACTER_COUNT_FIELD_NUMBER: _ClassVar[int]
    CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    title: str
    media_type: str
    character_count: int
    chunk_count: int
    warnings: _containers.RepeatedCompositeFieldContainer[_document_pb2.ReadingWarning]
    def __init__(self, title: _Optional[str] = ..., media_type: _Optional[str] = ..., character_count: _Optional[int] = ..., chunk_count: _Optional[int] = ..., warnings: _Optional[_Iterable[_Union[_document_pb2.ReadingWarning, _Mapping]]] = ...) -> None: ...

class ChunkBatch(_message.Message):
    __slots__ = ("chunks",)
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    chunks: _containers.RepeatedCompositeFieldContainer[_retriever_service_pb2.TextChunk]
    def __init__(self, chunks: _Optional[_Iterable[_Union[_retriever_service_pb2.TextChunk, _Mapping]]] = ...) -> None: ...

class GetDocumentRequest(_message.Message):
    __slots__ = ("tenant_id", "collection", "document_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    collection: str
    document_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., collection: _Optional[str] = ..., document_id: _Optional[str] = ...) -> None: ...

class GetDocumentResponse(_message.Message):
    __slots__ = ("document",)
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    document: _document_pb2.Document
    def __init__(self, document: _Optional[_Union[_document_pb2.Document, _Mapping]] = ...) -> None: ...

class ListDocumentsRequest(_message.Message):
    __slots__ = ("tenant_id", "collection", "page_size", "page_token")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    collection: str
    page_size: int
    page_token: str
    def __init__(self, tenant_id: _Optional[str] = ..., collection: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDocumentsResponse(_message.Message):
    __slots__ = ("documents", "next_page_token")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    documents: _containers.RepeatedCompositeFieldContainer[_document_pb2.Document]
    next_page_token: str
    def __init__(self, documents: _Optional[_Iterable[_Union[_document_pb2.Document, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListPassagesRequest(_message.Message):
    __slots__ = ("tenant_id", "collection", "document_id", "first_ordinal", "page_size")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    FIRST_ORDINAL_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    collection: str
    document_id: str
    first_ordinal: int
    page_size: int
    def __init__(self, tenant_id: _Optional[str] = ..., collection: _Optional[str] = ..., document_id: _Optional[str] = ..., first_ordinal: _Optional[int] = ..., page_size: _Optional[int] = ...) -> None: ...

class ListPassagesResponse(_message.Message):
    __slots__ = ("passages",)
    PASSAGES_FIELD_NUMBER: _ClassVar[int]
    passages: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Passage]
    def __init__(self, passages: _Optional[_Iterable[_Union[_passage_pb2.Passage, _Mapping]]] = ...) -> None: ...

class DeleteDocumentRequest(_message.Message):
    __slots__ = ("tenant_id", "collection", "document_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    collection: str
    document_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., collection: _Optional[str] = ..., document_id: _Optional[str] = ...) -> None: ...

class DeleteDocumentResponse(_message.Message):
    __slots__ = ("deleted_passages",)
    DELETED_PASSAGES_FIELD_NUMBER: _ClassVar[int]
    deleted_passages: int
    def __init__(self, deleted_passages: _Optional[int] = ...) -> None: ...

class ListMediaTypesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListMediaTypesResponse(_message.Message):
    __slots__ = ("media_types",)
    MEDIA_TYPES_FIELD_NUMBER: _ClassVar[int]
    media_types: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, media_types: _Optional[_Iterable[str]] = ...) -> None: ...
