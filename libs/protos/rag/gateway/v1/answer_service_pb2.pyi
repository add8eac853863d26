import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from rag.gateway.v1 import options_pb2 as _options_pb2
from rag.types.v1 import grounding_pb2 as _grounding_pb2
from rag.types.v1 import passage_pb2 as _passage_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AnswerRequest(_message.Message):
    __slots__ = ("query", "retrieval", "generation", "grounding", "passages", "request_id", "explain")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    RETRIEVAL_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    GROUNDING_FIELD_NUMBER: _ClassVar[int]
    PASSAGES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    query: str
    retrieval: _options_pb2.RetrievalOptions
    generation: _options_pb2.GenerationOptions
    grounding: _options_pb2.GroundingOptions
    passages: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Passage]
    request_id: str
    explain: bool
    def __init__(self, query: _Optional[str] = ..., retrieval: _Optional[_Union[_options_pb2.RetrievalOptions, _Mapping]] = ..., generation: _Optional[_Union[_options_pb2.GenerationOptions, _Mapping]] = ..., grounding: _Optional[_Union[_options_pb2.GroundingOptions, _Mapping]] = ..., passages: _Optional[_Iterable[_Union[_passage_pb2.Passage, _Mapping]]] = ..., request_id: _Optional[str] = ..., explain: _Optional[bool] = ...) -> None: ...

class AnswerResponse(_message.Message):
    __slots__ = ("text", "citations", "references", "grounding", "skipped_reason", "confidence", "usage", "timings", "provenance", "request_id", "trace_id", "incomplete_reason")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CITATIONS_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    GROUNDING_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_REASON_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    INCOMPLETE_REASON_FIELD_NUMBER: _ClassVar[int]
    text: str
    citations: _containers.RepeatedCompositeFieldContainer[_grounding_pb2.Citation]
    references: _containers.RepeatedCompositeFieldContainer[_passage_pb2.ScoredPassage]
    grounding: _grounding_pb2.Grounding
    skipped_reason: _grounding_pb2.SkippedReason
    confidence: float
    usage: _grounding_pb2.Usage
    timings: _containers.RepeatedCompositeFieldContainer[_options_pb2.StageTiming]
    provenance: _options_pb2.Provenance
    request_id: str
    trace_id: str
    incomplete_reason: str
    def __init__(self, text: _Optional[str] = ..., citations: _Optional[_Iterable[_Union[_grounding_pb2.Citation, _Mapping]]] = ..., references: _Optional[_Iterable[_Union[_passage_pb2.ScoredPassage, _Mapping]]] = ..., grounding: _Optional[_Union[_grounding_pb2.Grounding, _Mapping]] = ..., skipped_reason: _Optional[_Union[_grounding_pb2.SkippedReason, str]] = ..., confidence: _Optional[float] = ..., usage: _Optional[_Union[_grounding_pb2.Usage, _Mapping]] = ..., timings: _Optional[_Iterable[_Union[_options_pb2.StageTiming, _Mapping]]] = ..., provenance: _Optional[_Union[_options_pb2.Provenance, _Mapping]] = ..., request_id: _Optional[str] = ..., trace_id: _Optional[str] = ..., incomplete_reason: _Optional[str] = ...) -> None: ...

class StreamAnswerRequest(_message.Message):
    __slots__ = ("query", "retrieval", "generation", "grounding", "passages", "request_id", "explain")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    RETRIEVAL_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    GROUNDING_FIELD_NUMBER: _ClassVar[int]
    PASSAGES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    query: str
    retrieval: _options_pb2.RetrievalOptions
    generation: _options_pb2.GenerationOptions
    grounding: _options_pb2.GroundingOptions
    passages: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Passage]
    request_id: str
    explain: bool
    def __init__(self, query: _Optional[str] = ..., retrieval: _Optional[_Union[_options_pb2.RetrievalOptions, _Mapping]] = ..., generation: _Optional[_Union[_options_pb2.GenerationOptions, _Mapping]] = ..., grounding: _Optional[_Union[_options_pb2.GroundingOptions, _Mapping]] = ..., passages: _Optional[_Iterable[_Union[_passage_pb2.Passage, _Mapping]]] = ..., request_id: _Optional[str] = ..., explain: _Optional[bool] = ...) -> None: ...

class StreamAnswerResponse(_message.Message):
    __slots__ = ("started", "retrieved", "delta", "citation", "grounding", "heartbeat", "warning", "completed", "incomplete")
    STARTED_FIELD_NUMBER: _ClassVar[int]
    RETRIEVED_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    CITATION_FIELD_NUMBER: _ClassVar[int]
    GROUNDING_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    WARNING_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELD_NUMBER: _ClassVar[int]
    INCOMPLETE_FIELD_NUMBER: _ClassVar[int]
    started: Started
    retrieved: Retrieved
    delta: Delta
    citation: _grounding_pb2.Citation
    grounding: _grounding_pb2.Grounding
    heartbeat: Heartbeat
    warning: Warning
    completed: AnswerResponse
    incomplete: Incomplete
    def __init__(self, started: _Optional[_Union[Started, _Mapping]] = ..., retrieved: _Optional[_Union[Retrieved, _Mapping]] = ..., delta: _Optional[_Union[Delta, _Mapping]] = ..., citation: _Optional[_Union[_grounding_pb2.Citation, _Mapping]] = ..., grounding: _Optional[_Union[_grounding_pb2.Grounding, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., warning: _Optional[_Union[Warning, _Mapping]] = ..., completed: _Optional[_Union[AnswerResponse, _Mapping]] = ..., incomplete: _Optional[_Union[Incomplete, _Mapping]] = ...) -> None: ...

class Started(_message.Message):
    __slots__ = ("request_id", "trace_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    trace_id: str
    def __init__(self, request_id: _Optional[str] = ..., trace_id: _Optional[str] = ...) -> None: ...

class Retrieved(_message.Message):
    __slots__ = ("references",)
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    references: _containers.RepeatedCompositeFieldContainer[_passage_pb2.ScoredPassage]
    def __init__(self, references: _Optional[_Iterable[_Union[_passage_pb2.ScoredPassage, _Mapping]]] = ...) -> None: ...

class Delta(_message.Message):
    __slots__ = ("sequence", "text")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    text: str
    def __init__(self, sequence: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("elapsed",)
    ELAPSED_FIELD_NUMBER: _ClassVar[int]
    elapsed: _duration_pb2.Duration
    def __init__(self, elapsed: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Warning(_message.Message):
    __slots__ = ("reason", "message")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Incomplete(_message.Message):
    __slots__ = ("reason", "message")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class SearchRequest(_message.Message):
    __slots__ = ("query", "retrieval", "explain", "request_id")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    RETRIEVAL_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    query: str
    retrieval: _options_pb2.RetrievalOptions
    explain: bool
    request_id: str
    def __init__(self, query: _Optional[str] = ..., retrieval: _Optional[_Union[_options_pb2.RetrievalOptions, _Mapping]] = ..., explain: _Optional[bool] = ..., request_id: _Optional[str] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("passages", "query_terms", "timings", "provenance", "request_id", "trace_id")
    PASSAGES_FIELD_NUMBER: _ClassVar[int]
    QUERY_TERMS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    passages: _containers.RepeatedCompositeFieldContainer[_passage_pb2.ScoredPassage]
    query_terms: _containers.RepeatedScalarFieldContainer[str]
    timings: _containers.RepeatedCompositeFieldContainer[_options_pb2.StageTiming]
    provenance: _options_pb2.Provenance
    request_id: str
    trace_id: str
    def __init__(self, passages: _Optional[_Iterable[_Union[_passage_pb2.ScoredPassage, _Mapping]]] = ..., query_terms: _Optional[_Iterable[str]] = ..., timings: _Optional[_Iterable[_Union[_options_pb2.StageTiming, _Mapping]]] = ..., provenance: _Optional[_Union[_options_pb2.Provenance, _Mapping]] = ..., request_id: _Optional[str] = ..., trace_id: _Optional[str] = ...) -> None: ...

class CheckGroundingRequest(_message.Message):
    __slots__ = ("text", "passages")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PASSAGES_FIELD_NUMBER: _ClassVar[int]
    text: str
    passages: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Passage]
    def __init__(self, text: _Optional[str] = ..., passages: _Optional[_Iterable[_Union[_passage_pb2.Passage, _Mapping]]] = ...) -> None: ...

class CheckGroundingResponse(_message.Message):
    __slots__ = ("grounding", "trace_id")
    GROUNDING_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    grounding: _grounding_pb2.Grounding
    trace_id: str
    def __init__(self, grounding: _Optional[_Union[_grounding_pb2.Grounding, _Mapping]] = ..., trace_id: _Optional[str] = ...) -> None: ...

class GetCapabilitiesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetCapabilitiesResponse(_message.Message):
    __slots__ = ("generation_models", "embedding", "reranker", "media_types", "limits", "region", "version")
    GENERATION_MODELS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    RERANKER_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPES_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    generation_models: _containers.RepeatedScalarFieldContainer[str]
    embedding: EmbeddingModel
    reranker: str
    media_types: _containers.RepeatedScalarFieldContainer[str]
    limits: Limits
    region: str
    version: str
    def __init__(self, generation_models: _Optional[_Iterable[str]] = ..., embedding: _Optional[_Union[EmbeddingModel, _Mapping]] = ..., reranker: _Optional[str] = ..., media_types: _Optional[_Iterable[str]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., region: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class EmbeddingModel(_message.Message):
    __slots__ = ("model", "dimensions", "fingerprint")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    model: str
    dimensions: int
    fingerprint: str
    def __init__(self, model: _Optional[str] = ..., dimensions: _Optional[int] = ..., fingerprint: _Optional[str] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("query_characters", "top_k", "candidates", "passages", "document_bytes", "upload_bytes", "deadline")
    QUERY_CHARACTERS_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    PASSAGES_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_BYTES_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    query_characters: int
    top_k: int
    candidates: int
    passages: int
    document_bytes: int
    upload_bytes: int
    deadline: _duration_pb2.Duration
    def __init__(self, query_characters: _Optional[int] = ..., top_k: _Optional[int] = ..., candidates: _Optional[int] = ..., passages: _Optional[int] = ..., document_bytes: _Optional[int] = ..., upload_bytes: _Optional[int] = ..., deadline: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
