"""Converts filter messages to typed conditions; reports every violation of an invalid filter."""

from collections.abc import Iterable
from datetime import UTC, datetime
from unicodedata import normalize

from google.protobuf.timestamp_pb2 import Timestamp

from rag.types.v1 import filter_pb2 as pb
from rag_contract import errors, filter_rules
from rag_retriever.index.filters import (
    Condition,
    ConditionTest,
    Filter,
    NumberRange,
    OneOf,
    TimeRange,
)


def parse(message: pb.Filter) -> Filter:
    """The filter of a message. Raises FilterInvalid with all violations."""
    violations = filter_rules.violations(message, "filter")
    if violations:
        raise errors.FilterInvalid.among(violations)
    return Filter(
        must=_conditions(message.must),
        should=_conditions(message.should),
        must_not=_conditions(message.must_not),
    )


def _conditions(messages: Iterable[pb.Condition]) -> tuple[Condition, ...]:
    return tuple(Condition(message.key, _test(message)) for message in messages)


def _test(message: pb.Condition) -> ConditionTest:
    match message.WhichOneof("test"):
        case "any_of":
            # Metadata is stored in NFC.
            return OneOf(tuple(normalize("NFC", text) for text in message.any_of.values))
        case "any_integer":
            return OneOf(tuple(message.any_integer.values))
        case "number":
            return _numbers(message.number)
        case "time":
            return _times(message.time)
        case _:
            return OneOf((message.equals_bool,))


def _numbers(message: pb.NumberRange) -> NumberRange:
    return NumberRange(
        message.min if message.HasField("min") else None,
        message.max if message.HasField("max") else None,
    )


def _times(message: pb.TimeRange) -> TimeRange:
    return TimeRange(
        _time(message.start) if message.HasField("start") else None,
        _time(message.before) if message.HasField("before") else None,
    )


def _time(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)
