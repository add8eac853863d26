from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TextSpan(_message.Message):
    __slots__ = ("start", "end", "start_byte", "end_byte")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    START_BYTE_FIELD_NUMBER: _ClassVar[int]
    END_BYTE_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    start_byte: int
    end_byte: int
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ..., start_byte: _Optional[int] = ..., end_byte: _Optional[int] = ...) -> None: ...

class Location(_message.Message):
    __slots__ = ("sheet", "first_row", "last_row", "attachment")
    SHEET_FIELD_NUMBER: _ClassVar[int]
    FIRST_ROW_FIELD_NUMBER: _ClassVar[int]
    LAST_ROW_FIELD_NUMBER: _ClassVar[int]
    ATTACHMENT_FIELD_NUMBER: _ClassVar[int]
    sheet: str
    first_row: int
    last_row: int
    attachment: str
    def __init__(self, sheet: _Optional[str] = ..., first_row: _Optional[int] = ..., last_row: _Optional[int] = ..., attachment: _Optional[str] = ...) -> None: ...

class Passage(_message.Message):
    __slots__ = ("passage_id", "document_id", "collection", "title", "text", "headings", "span", "page", "ordinal", "uri", "version", "metadata", "location")
    PASSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    HEADINGS_FIELD_NUMBER: _ClassVar[int]
    SPAN_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    passage_id: str
    document_id: str
    collection: str
    title: str
    text: str
    headings: _containers.RepeatedScalarFieldContainer[str]
    span: TextSpan
    page: int
    ordinal: int
    uri: str
    version: str
    metadata: _struct_pb2.Struct
    location: Location
    def __init__(self, passage_id: _Optional[str] = ..., document_id: _Optional[str] = ..., collection: _Optional[str] = ..., title: _Optional[str] = ..., text: _Optional[str] = ..., headings: _Optional[_Iterable[str]] = ..., span: _Optional[_Union[TextSpan, _Mapping]] = ..., page: _Optional[int] = ..., ordinal: _Optional[int] = ..., uri: _Optional[str] = ..., version: _Optional[str] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., location: _Optional[_Union[Location, _Mapping]] = ...) -> None: ...

class Evidence(_message.Message):
    __slots__ = ("score", "dense_rank", "dense_score", "sparse_rank", "sparse_score", "matched_terms", "rerank_score")
    SCORE_FIELD_NUMBER: _ClassVar[int]
    DENSE_RANK_FIELD_NUMBER: _ClassVar[int]
    DENSE_SCORE_FIELD_NUMBER: _ClassVar[int]
    SPARSE_RANK_FIELD_NUMBER: _ClassVar[int]
    SPARSE_SCORE_FIELD_NUMBER: _ClassVar[int]
    MATCHED_TERMS_FIELD_NUMBER: _ClassVar[int]
    RERANK_SCORE_FIELD_NUMBER: _ClassVar[int]
    score: float
    dense_rank: int
    dense_score: float
    sparse_rank: int
    sparse_score: float
    matched_terms: _containers.RepeatedScalarFieldContainer[str]
    rerank_score: float
    def __init__(self, score: _Optional[float] = ..., dense_rank: _Optional[int] = ..., dense_score: _Optional[float] = ..., sparse_rank: _Optional[int] = ..., sparse_score: _Optional[float] = ..., matched_terms: _Optional[_Iterable[str]] = ..., rerank_score: _Optional[float] = ...) -> None: ...

class ScoredPassage(_message.Message):
    __slots__ = ("passage", "evidence")
    PASSAGE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    passage: Passage
    evidence: Evidence
    def __init__(self, passage: _Optional[_Union[Passage, _Mapping]] = ..., evidence: _Optional[_Union[Evidence, _Mapping]] = ...) -> None: ...
