import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from rag.types.v1 import vector_pb2 as _vector_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Task(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_UNSPECIFIED: _ClassVar[Task]
    TASK_QUERY: _ClassVar[Task]
    TASK_DOCUMENT: _ClassVar[Task]

class Representation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPRESENTATION_UNSPECIFIED: _ClassVar[Representation]
    REPRESENTATION_BOTH: _ClassVar[Representation]
    REPRESENTATION_DENSE: _ClassVar[Representation]
    REPRESENTATION_SPARSE: _ClassVar[Representation]

class Overflow(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OVERFLOW_UNSPECIFIED: _ClassVar[Overflow]
    OVERFLOW_REFUSE: _ClassVar[Overflow]
    OVERFLOW_TRUNCATE: _ClassVar[Overflow]
TASK_UNSPECIFIED: Task
TASK_QUERY: Task
TASK_DOCUMENT: Task
REPRESENTATION_UNSPECIFIED: Representation
REPRESENTATION_BOTH: Representation
REPRESENTATION_DENSE: Representation
REPRESENTATION_SPARSE: Representation
OVERFLOW_UNSPECIFIED: Overflow
OVERFLOW_REFUSE: Overflow
OVERFLOW_TRUNCATE: Overflow

class EmbedRequest(_message.Message):
    __slots__ = ("texts", "task", "representation", "overflow")
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    REPRESENTATION_FIELD_NUMBER: _ClassVar[int]
    OVERFLOW_FIELD_NUMBER: _ClassVar[int]
    texts: _containers.RepeatedScalarFieldContainer[str]
    task: Task
    representation: Representation
    overflow: Overflow
    def __init__(self, texts: _Optional[_Iterable[str]] = ..., task: _Optional[_Union[Task, str]] = ..., representation: _Optional[_Union[Representation, str]] = ..., overflow: _Optional[_Union[Overflow, str]] = ...) -> None: ...

class EmbedResponse(_message.Message):
    __slots__ = ("embeddings", "fingerprint", "timings")
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    embeddings: _containers.RepeatedCompositeFieldContainer[Embedding]
    fingerprint: str
    timings: EmbedTimings
    def __init__(self, embeddings: _Optional[_Iterable[_Union[Embedding, _Mapping]]] = ..., fingerprint: _Optional[str] = ..., timings: _Optional[_Union[EmbedTimings, _Mapping]] = ...) -> None: ...

class Embedding(_message.Message):
    __slots__ = ("dense", "sparse", "token_count", "truncated")
    DENSE_FIELD_NUMBER: _ClassVar[int]
    SPARSE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    dense: _vector_pb2.DenseVector
    sparse: _vector_pb2.SparseVector
    token_count: int
    truncated: bool
    def __init__(self, dense: _Optional[_Union[_vector_pb2.DenseVector, _Mapping]] = ..., sparse: _Optional[_Union[_vector_pb2.SparseVector, _Mapping]] = ..., token_count: _Optional[int] = ..., truncated: _Optional[bool] = ...) -> None: ...

class EmbedTimings(_message.Message):
    __slots__ = ("queue", "tokenize", "inference")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    TOKENIZE_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_FIELD_NUMBER: _ClassVar[int]
    queue: _duration_pb2.Duration
    tokenize: _duration_pb2.Duration
    inference: _duration_pb2.Duration
    def __init__(self, queue: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., tokenize: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., inference: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class EmbedStreamRequest(_message.Message):
    __slots__ = ("batch",)
    BATCH_FIELD_NUMBER: _ClassVar[int]
    batch: EmbedRequest
    def __init__(self, batch: _Optional[_Union[EmbedRequest, _Mapping]] = ...) -> None: ...

class EmbedStreamResponse(_message.Message):
    __slots__ = ("batch",)
    BATCH_FIELD_NUMBER: _ClassVar[int]
    batch: EmbedResponse
    def __init__(self, batch: _Optional[_Union[EmbedResponse, _Mapping]] = ...) -> None: ...

class RerankRequest(_message.Message):
    __slots__ = ("query", "texts")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    query: str
    texts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, query: _Optional[str] = ..., texts: _Optional[_Iterable[str]] = ...) -> None: ...

class RerankResponse(_message.Message):
    __slots__ = ("scores", "model")
    SCORES_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    scores: _containers.RepeatedScalarFieldContainer[float]
    model: str
    def __init__(self, scores: _Optional[_Iterable[float]] = ..., model: _Optional[str] = ...) -> None: ...

class TokenizeRequest(_message.Message):
    __slots__ = ("text", "task")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    text: str
    task: Task
    def __init__(self, text: _Optional[str] = ..., task: _Optional[_Union[Task, str]] = ...) -> None: ...

class TokenizeResponse(_message.Message):
    __slots__ = ("tokens", "token_ids", "terms")
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedScalarFieldContainer[str]
    token_ids: _containers.RepeatedScalarFieldContainer[int]
    terms: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, tokens: _Optional[_Iterable[str]] = ..., token_ids: _Optional[_Iterable[int]] = ..., terms: _Optional[_Iterable[str]] = ...) -> None: ...

class GetModelInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetModelInfoResponse(_message.Message):
    __slots__ = ("model", "revision", "dimensions", "max_tokens", "fingerprint", "runtime", "precision", "reranker", "analyzer")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    RERANKER_FIELD_NUMBER: _ClassVar[int]
    ANALYZER_FIELD_NUMBER: _ClassVar[int]
    model: str
    revision: str
    dimensions: int
    max_tokens: int
    fingerprint: str
    runtime: str
    precision: str
    reranker: str
    analyzer: str
    def __init__(self, model: _Optional[str] = ..., revision: _Optional[str] = ..., dimensions: _Optional[int] = ..., max_tokens: _Optional[int] = ..., fingerprint: _Optional[str] = ..., runtime: _Optional[str] = ..., precision: _Optional[str] = ..., reranker: _Optional[str] = ..., analyzer: _Optional[str] = ...) -> None: ...
