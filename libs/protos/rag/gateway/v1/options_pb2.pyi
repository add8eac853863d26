import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from rag.types.v1 import filter_pb2 as _filter_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RetrievalMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RETRIEVAL_MODE_UNSPECIFIED: _ClassVar[RetrievalMode]
    RETRIEVAL_MODE_HYBRID: _ClassVar[RetrievalMode]
    RETRIEVAL_MODE_DENSE: _ClassVar[RetrievalMode]
    RETRIEVAL_MODE_SPARSE: _ClassVar[RetrievalMode]

class FusionMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FUSION_METHOD_UNSPECIFIED: _ClassVar[FusionMethod]
    FUSION_METHOD_POSTERIOR: _ClassVar[FusionMethod]
    FUSION_METHOD_RRF: _ClassVar[FusionMethod]
    FUSION_METHOD_DBSF: _ClassVar[FusionMethod]

class GroundingMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GROUNDING_MODE_UNSPECIFIED: _ClassVar[GroundingMode]
    GROUNDING_MODE_REFUSE: _ClassVar[GroundingMode]
    GROUNDING_MODE_FLAG: _ClassVar[GroundingMode]
    GROUNDING_MODE_OFF: _ClassVar[GroundingMode]
RETRIEVAL_MODE_UNSPECIFIED: RetrievalMode
RETRIEVAL_MODE_HYBRID: RetrievalMode
RETRIEVAL_MODE_DENSE: RetrievalMode
RETRIEVAL_MODE_SPARSE: RetrievalMode
FUSION_METHOD_UNSPECIFIED: FusionMethod
FUSION_METHOD_POSTERIOR: FusionMethod
FUSION_METHOD_RRF: FusionMethod
FUSION_METHOD_DBSF: FusionMethod
GROUNDING_MODE_UNSPECIFIED: GroundingMode
GROUNDING_MODE_REFUSE: GroundingMode
GROUNDING_MODE_FLAG: GroundingMode
GROUNDING_MODE_OFF: GroundingMode

class RetrievalOptions(_message.Message):
    __slots__ = ("collections", "filter", "mode", "candidates", "top_k", "min_score", "fusion", "rerank")
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    FUSION_FIELD_NUMBER: _ClassVar[int]
    RERANK_FIELD_NUMBER: _ClassVar[int]
    collections: _containers.RepeatedScalarFieldContainer[str]
    filter: _filter_pb2.Filter
    mode: RetrievalMode
    candidates: int
    top_k: int
    min_score: float
    fusion: FusionMethod
    rerank: bool
    def __init__(self, collections: _Optional[_Iterable[str]] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., mode: _Optional[_Union[RetrievalMode, str]] = ..., candidates: _Optional[int] = ..., top_k: _Optional[int] = ..., min_score: _Optional[float] = ..., fusion: _Optional[_Union[FusionMethod, str]] = ..., rerank: _Optional[bool] = ...) -> None: ...

class GenerationOptions(_message.Message):
    __slots__ = ("model", "max_output_tokens", "temperature", "seed", "language")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    model: str
    max_output_tokens: int
    temperature: float
    seed: int
    language: str
    def __init__(self, model: _Optional[str] = ..., max_output_tokens: _Optional[int] = ..., temperature: _Optional[float] = ..., seed: _Optional[int] = ..., language: _Optional[str] = ...) -> None: ...

class GroundingOptions(_message.Message):
    __slots__ = ("mode", "min_score")
    MODE_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    mode: GroundingMode
    min_score: float
    def __init__(self, mode: _Optional[_Union[GroundingMode, str]] = ..., min_score: _Optional[float] = ...) -> None: ...

class StageTiming(_message.Message):
    __slots__ = ("stage", "duration")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    stage: str
    duration: _duration_pb2.Duration
    def __init__(self, stage: _Optional[str] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Provenance(_message.Message):
    __slots__ = ("generation_model", "prompt_version", "embedding_fingerprint", "index_version", "region", "degraded")
    GENERATION_MODEL_FIELD_NUMBER: _ClassVar[int]
    PROMPT_VERSION_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    INDEX_VERSION_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    generation_model: str
    prompt_version: str
    embedding_fingerprint: str
    index_version: str
    region: str
    degraded: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, generation_model: _Optional[str] = ..., prompt_version: _Optional[str] = ..., embedding_fingerprint: _Optional[str] = ..., index_version: _Optional[str] = ..., region: _Optional[str] = ..., degraded: _Optional[_Iterable[str]] = ...) -> None: ...
