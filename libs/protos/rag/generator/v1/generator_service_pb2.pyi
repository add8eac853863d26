import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from rag.types.v1 import grounding_pb2 as _grounding_pb2
from rag.types.v1 import passage_pb2 as _passage_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GroundingMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GROUNDING_MODE_UNSPECIFIED: _ClassVar[GroundingMode]
    GROUNDING_MODE_REFUSE: _ClassVar[GroundingMode]
    GROUNDING_MODE_FLAG: _ClassVar[GroundingMode]
    GROUNDING_MODE_OFF: _ClassVar[GroundingMode]

class FinishReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FINISH_REASON_UNSPECIFIED: _ClassVar[FinishReason]
    FINISH_REASON_STOP: _ClassVar[FinishReason]
    FINISH_REASON_LENGTH: _ClassVar[FinishReason]
    FINISH_REASON_DEADLINE: _ClassVar[FinishReason]
    FINISH_REASON_CONTENT_FILTER: _ClassVar[FinishReason]
GROUNDING_MODE_UNSPECIFIED: GroundingMode
GROUNDING_MODE_REFUSE: GroundingMode
GROUNDING_MODE_FLAG: GroundingMode
GROUNDING_MODE_OFF: GroundingMode
FINISH_REASON_UNSPECIFIED: FinishReason
FINISH_REASON_STOP: FinishReason
FINISH_REASON_LENGTH: FinishReason
FINISH_REASON_DEADLINE: FinishReason
FINISH_REASON_CONTENT_FILTER: FinishReason

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

class GroundingPolicy(_message.Message):
    __slots__ = ("mode", "min_score")
    MODE_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    mode: GroundingMode
    min_score: float
    def __init__(self, mode: _Optional[_Union[GroundingMode, str]] = ..., min_score: _Optional[float] = ...) -> None: ...

class GenerateRequest(_message.Message):
    __slots__ = ("question", "passages", "options", "grounding")
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    PASSAGES_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    GROUNDING_FIELD_NUMBER: _ClassVar[int]
    question: str
    passages: _containers.RepeatedCompositeFieldContainer[_passage_pb2.ScoredPassage]
    options: GenerationOptions
    grounding: GroundingPolicy
    def __init__(self, question: _Optional[str] = ..., passages: _Optional[_Iterable[_Union[_passage_pb2.ScoredPassage, _Mapping]]] = ..., options: _Optional[_Union[GenerationOptions, _Mapping]] = ..., grounding: _Optional[_Union[GroundingPolicy, _Mapping]] = ...) -> None: ...

class GenerateResponse(_message.Message):
    __slots__ = ("text", "citations", "grounding", "skipped_reason", "confidence", "usage", "model", "prompt_version", "finish_reason", "time_to_first_token", "degraded")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CITATIONS_FIELD_NUMBER: _ClassVar[int]
    GROUNDING_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_REASON_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROMPT_VERSION_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    TIME_TO_FIRST_TOKEN_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    text: str
    citations: _containers.RepeatedCompositeFieldContainer[_grounding_pb2.Citation]
    grounding: _grounding_pb2.Grounding
    skipped_reason: _grounding_pb2.SkippedReason
    confidence: float
    usage: _grounding_pb2.Usage
    model: str
    prompt_version: str
    finish_reason: FinishReason
    time_to_first_token: _duration_pb2.Duration
    degraded: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, text: _Optional[str] = ..., citations: _Optional[_Iterable[_Union[_grounding_pb2.Citation, _Mapping]]] = ..., grounding: _Optional[_Union[_grounding_pb2.Grounding, _Mapping]] = ..., skipped_reason: _Optional[_Union[_grounding_pb2.SkippedReason, str]] = ..., confidence: _Optional[float] = ..., usage: _Optional[_Union[_grounding_pb2.Usage, _Mapping]] = ..., model: _Optional[str] = ..., prompt_version: _Optional[str] = ..., finish_reason: _Optional[_Union[FinishReason, str]] = ..., time_to_first_token: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., degraded: _Optional[_Iterable[str]] = ...) -> None: ...

class StreamGenerateRequest(_message.Message):
    __slots__ = ("question", "passages", "options", "grounding")
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    PASSAGES_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    GROUNDING_FIELD_NUMBER: _ClassVar[int]
    question: str
    passages: _containers.RepeatedCompositeFieldContainer[_passage_pb2.ScoredPassage]
    options: GenerationOptions
    grounding: GroundingPolicy
    def __init__(self, question: _Optional[str] = ..., passages: _Optional[_Iterable[_Union[_passage_pb2.ScoredPassage, _Mapping]]] = ..., options: _Optional[_Union[GenerationOptions, _Mapping]] = ..., grounding: _Optional[_Union[GroundingPolicy, _Mapping]] = ...) -> None: ...

class StreamGenerateResponse(_message.Message):
    __slots__ = ("delta", "citation", "completed")
    DELTA_FIELD_NUMBER: _ClassVar[int]
    CITATION_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELD_NUMBER: _ClassVar[int]
    delta: Delta
    citation: _grounding_pb2.Citation
    completed: GenerateResponse
    def __init__(self, delta: _Optional[_Union[Delta, _Mapping]] = ..., citation: _Optional[_Union[_grounding_pb2.Citation, _Mapping]] = ..., completed: _Optional[_Union[GenerateResponse, _Mapping]] = ...) -> None: ...

class Delta(_message.Message):
    __slots__ = ("sequence", "text")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    text: str
    def __init__(self, sequence: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class CheckGroundingRequest(_message.Message):
    __slots__ = ("text", "passages")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PASSAGES_FIELD_NUMBER: _ClassVar[int]
    text: str
    passages: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Passage]
    def __init__(self, text: _Optional[str] = ..., passages: _Optional[_Iterable[_Union[_passage_pb2.Passage, _Mapping]]] = ...) -> None: ...

class CheckGroundingResponse(_message.Message):
    __slots__ = ("grounding",)
    GROUNDING_FIELD_NUMBER: _ClassVar[int]
    grounding: _grounding_pb2.Grounding
    def __init__(self, grounding: _Optional[_Union[_grounding_pb2.Grounding, _Mapping]] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "backend", "context_tokens", "is_default")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    IS_DEFAULT_FIELD_NUMBER: _ClassVar[int]
    name: str
    backend: str
    context_tokens: int
    is_default: bool
    def __init__(self, name: _Optional[str] = ..., backend: _Optional[str] = ..., context_tokens: _Optional[int] = ..., is_default: _Optional[bool] = ...) -> None: ...
