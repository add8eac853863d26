from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SkippedReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SKIPPED_REASON_UNSPECIFIED: _ClassVar[SkippedReason]
    SKIPPED_REASON_NO_PASSAGES: _ClassVar[SkippedReason]
    SKIPPED_REASON_WEAK_EVIDENCE: _ClassVar[SkippedReason]
    SKIPPED_REASON_UNGROUNDED: _ClassVar[SkippedReason]
SKIPPED_REASON_UNSPECIFIED: SkippedReason
SKIPPED_REASON_NO_PASSAGES: SkippedReason
SKIPPED_REASON_WEAK_EVIDENCE: SkippedReason
SKIPPED_REASON_UNGROUNDED: SkippedReason

class Grounding(_message.Message):
    __slots__ = ("score", "claims")
    SCORE_FIELD_NUMBER: _ClassVar[int]
    CLAIMS_FIELD_NUMBER: _ClassVar[int]
    score: float
    claims: _containers.RepeatedCompositeFieldContainer[Claim]
    def __init__(self, score: _Optional[float] = ..., claims: _Optional[_Iterable[_Union[Claim, _Mapping]]] = ...) -> None: ...

class Claim(_message.Message):
    __slots__ = ("start", "end", "supported", "score", "passage_ids")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    SUPPORTED_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    PASSAGE_IDS_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    supported: bool
    score: float
    passage_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ..., supported: _Optional[bool] = ..., score: _Optional[float] = ..., passage_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class Citation(_message.Message):
    __slots__ = ("number", "passage_id", "document_id", "answer_start", "answer_end", "quote", "quote_start", "quote_end")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    PASSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ANSWER_START_FIELD_NUMBER: _ClassVar[int]
    ANSWER_END_FIELD_NUMBER: _ClassVar[int]
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    QUOTE_START_FIELD_NUMBER: _ClassVar[int]
    QUOTE_END_FIELD_NUMBER: _ClassVar[int]
    number: int
    passage_id: str
    document_id: str
    answer_start: int
    answer_end: int
    quote: str
    quote_start: int
    quote_end: int
    def __init__(self, number: _Optional[int] = ..., passage_id: _Optional[str] = ..., document_id: _Optional[str] = ..., answer_start: _Optional[int] = ..., answer_end: _Optional[int] = ..., quote: _Optional[str] = ..., quote_start: _Optional[int] = ..., quote_end: _Optional[int] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("input_tokens", "output_tokens")
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    input_tokens: int
    output_tokens: int
    def __init__(self, input_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ...) -> None: ...
